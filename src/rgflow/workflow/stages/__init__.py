"""The stages: pure functions from datasets and a spec to a dataset."""
