"""GPT-1 (Radford et al. 2018): a language model trained further on a task with labels."""
