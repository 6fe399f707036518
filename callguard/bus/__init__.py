"""Topics and typed messages over Redis or Valkey (embedded by default)."""
