"""One file a command group; ``cli.py`` mounts them. Heavy imports stay inside the functions, so that help is quick."""
