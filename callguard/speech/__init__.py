"""From frames to utterances (``feed``), from hypotheses to committed words (``agree``). Pure."""
