"""Versioned migrations of the warehouse, applied by services.loader.migrate."""
