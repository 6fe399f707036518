"""From what the PBX says to who is talking to whom.

Rule of this room: pure. ``events`` are the facts as they arrive, ``facts`` is the one transition table that takes
them in, ``shape`` reads calls out of the facts, ``tracker`` compares before and after and tells the news,
``keys`` says what a key may do now. What was told is never taken back, and no event is trusted to come in order.
"""
