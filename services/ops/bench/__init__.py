"""What the pipeline costs and how fast it is: each stage alone, the whole path, and the limits beside them."""
