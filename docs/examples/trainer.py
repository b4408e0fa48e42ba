"""Watch the calibration of whatever a Trainer trains: python trainer.py MODEL QUESTIONS TEXT."""

import sys
from pathlib import Path

from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    DataCollatorForLanguageModeling,
    Trainer,
    TrainingArguments,
)

from calibfast.training import CalibrationCallback

folder, questions, text = sys.argv[1:]
model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
lines = [{"input_ids": tokenizer(line).input_ids[:256]} for line in Path(text).read_text().split("\n\n") if line]

trainer = Trainer(
    model,
    TrainingArguments("trained", num_train_epochs=2, report_to="none"),
    data_collator=DataCollatorForLanguageModeling(tokenizer, mlm=False),
    train_dataset=lines,
    processing_class=tokenizer,
)
watch = CalibrationCallback(trainer, questions)
trainer.add_callback(watch)
trainer.train()
for epoch, report in enumerate(watch.reports):
    print(f"epoch {epoch}: conf-ECE {report.conf_ece:.3f}, accuracy {report.accuracy:.3f}, NLL {report.nll:.3f}")
