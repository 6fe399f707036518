"""From findings, keys and elapsed time to decisions (``decide``): the ladder, cool-downs, exceptions, key map. Pure."""
