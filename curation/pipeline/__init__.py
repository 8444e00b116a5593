"""The loop over the stages, what is compiled before it, and what a step writes for its user."""
