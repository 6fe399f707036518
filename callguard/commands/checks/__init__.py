"""What ``callguard doctor`` looks at: each check says what it saw, and the line to paste where it saw wrong."""
