"""Questions to a chat model: which one, what it may cost, and asking it by way of the ledger."""
