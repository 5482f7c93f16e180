"""The loader: a load batch in exactly one transaction of the warehouse."""
