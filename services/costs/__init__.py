"""What a deployment costs, computed from the topology and one file of prices; asked by `make costs` and by the docs."""
