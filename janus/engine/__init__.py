"""The one decode loop: requests in, tokens out, a step at a time."""
