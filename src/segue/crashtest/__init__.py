"""Crash tests: a scenario of the user's own team, played in processes that are killed at each of its points, and gone on with.
`segue crashtest` is the face of it. What Segue promises over a crash is tested by the same means."""
