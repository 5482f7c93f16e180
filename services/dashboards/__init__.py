"""Dashboards on the warehouse: Apache Superset, installed beside us and described by files."""
