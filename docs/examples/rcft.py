"""Restore a model's calibration by RCFT, and see how its bins moved: python rcft.py MODEL QUESTIONS FOLDER."""

import sys

from calibfast.training import TrainingConfig, train

model, questions, folder = sys.argv[1:]
config = TrainingConfig(method="rcft", epochs=3, lambda_=0.5, lora_r=16, lora_alpha=32)
report = train(config, model=model, data=questions, output=folder)

for name, measured in ("before", report.before), ("after", report.after):
    print(f"{name}: conf-ECE {measured.conf_ece:.3f}, accuracy {measured.accuracy:.3f}, NLL {measured.nll:.3f}")
for step in report.e_steps:
    shares = [f"{q:.2f}" if count else "-" for q, count in zip(step["q"], step["count"], strict=True)]
    print(f"epoch {step['epoch']}, share of each bin that is right:", " ".join(shares))
