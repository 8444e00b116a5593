"""InstructGPT (Ouyang et al. 2022) on the bundled trainer: demonstrations, rankings, a reward
model, and PPO with pre-training gradients.

To be read beside the paper, in this order: `options.py` (appendix C), `data.py`, `labeler.py`,
`sft.py`, `answers.py`, `reward.py`, `episodes.py`, `objective.py`, `ppo.py`.
"""
