"""One module a revision, each with its frozen SQL beside it."""
