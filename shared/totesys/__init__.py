"""The source as every reader sees it: its SQL, its sessions and snapshots, its catalog. Nothing is ever written."""
