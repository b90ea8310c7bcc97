"""What one can do with a paper; each verb knows the contract, none knows a paper."""
