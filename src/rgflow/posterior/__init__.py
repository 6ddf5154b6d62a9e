"""Networks of finite width conditioned on data, exactly: tempered sequential Monte Carlo with the last layer integrated out."""
