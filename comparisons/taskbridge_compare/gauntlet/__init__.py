"""The gauntlet: jobs in flight, faults that follow the ledger, and a judge that wants every execution explained."""
