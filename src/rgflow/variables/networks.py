"""What is stored of the networks: the hyperparameters of every layer."""

from __future__ import annotations

from rgflow.store.variables import Variable

VARIABLES = (
    Variable("layer_C_b", ("layer",), "f", "bias variance", "b ~ N(0, C_b)"),
    Variable("layer_C_W", ("layer",), "f", "weight variance", "W ~ N(0, C_W/n_{l-1})"),
    Variable("layer_lambda_b", ("layer",), "f", "learning rate of biases", "lambda_b"),
    Variable("layer_lambda_W", ("layer",), "f", "learning rate of weights", "lambda_W/n_{l-1}"),
    Variable("xi_1", (), "f", "strength of the branch of a residual network", "z' = xi_1 (b + W s) + xi_2 z"),
    Variable("xi_2", (), "f", "strength of the skip connection", "z' = xi_1 (b + W s) + xi_2 z"),
)
