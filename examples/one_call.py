"""A network in one call: trained on arrays until it is good enough, kept in a file, used by the names of its classes.

Run it with `python examples/one_call.py`.
"""

import numpy as np

import fnnet
from fnnet.data import load

NAMES = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])

digits = load("digits")
assert digits.test
train, test = ((part.x, NAMES[part.labels]) for part in (digits.train, digits.test))


def show(report: fnnet.EpochReport) -> str | None:
    """Print each report; the text that is returned ends the training."""
    print(f"epoch {report.epoch}: train loss {report.train_loss:.3f}, dev accuracy {report.dev_accuracy or 0:.2%}")
    return "good enough" if (report.dev_accuracy or 0) >= 0.97 else None


model, history = fnnet.fit(
    train, test_data=test, dev=200, hidden=(64,), epochs=40, batch_size=32, optimizer="adam", learning_rate=0.003,
    on_report=show,
)  # fmt: skip
fnnet.save_model("digits.safetensors", model)

model = fnnet.load_model("digits.safetensors")
predicted = fnnet.predict(model, digits.test.x)
chances = fnnet.probabilities(model, digits.test.x).max(axis=1)
print(f"the first is {predicted[0]}, with a probability of {chances[0]:.1%}")
found = fnnet.evaluate(model, test)
print(f"recall of seven: {found.per_class['seven'].recall:.2%}")
print(f"test accuracy: {(predicted == NAMES[digits.test.labels]).mean():.2%}")
