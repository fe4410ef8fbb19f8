"""Other people's clients, each driven through what it can do."""
