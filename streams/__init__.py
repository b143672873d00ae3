"""Keeps the state of every job: a pure core, and the Faust app that hosts it."""
