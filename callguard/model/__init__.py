"""What exists: the nouns of a guarded call.

Rule of this room: frozen, slotted, keyword-only dataclasses and StrEnums; no IO, no clock, no behaviour
beyond a property that is read from the fields. A field that holds a quantity carries its unit in its name.
Times named ``*_ms`` count whole milliseconds on the call's clock (0 = the call's first event) unless the
field's docstring says otherwise.
"""
