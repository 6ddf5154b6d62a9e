"""Advice for a user's own network: what it predicts and what training makes of it."""
