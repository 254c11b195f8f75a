"""Tables, connections and the ledger."""
