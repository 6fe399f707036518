"""One guarded call, one task group: tap, speech, asr, detect, policy, store, act. No decisions here."""
