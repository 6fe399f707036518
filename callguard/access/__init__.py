"""Who may hear, label, barge, export: roles to rights. Pure questions, pure answers."""
