"""flax.linen networks; hyperparameters are fields."""
