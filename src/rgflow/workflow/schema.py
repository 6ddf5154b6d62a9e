"""The JSON schema of the configuration, generated from its models."""

from __future__ import annotations

import json

from rgflow.workflow.config import Config


def schema_text() -> str:
    """The schema as it is kept in ``config.schema.json`` beside this file."""
    return json.dumps(Config.model_json_schema(), indent=1, sort_keys=True) + "\n"
