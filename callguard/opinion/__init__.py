"""A second opinion on a finding, for people to read: it lowers or explains, and never acts. Off by default."""
