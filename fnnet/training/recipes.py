"""Named ways to train."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from fnnet.errors import UsageError

DEFORMATION: Final[Mapping[str, float]] = MappingProxyType(
    {"shift": 1.5, "rotation": 12.0, "scale": 0.12, "shear": 0.12, "elastic": 1.1, "correlation": 5.0}
)

UNSHEARED: Final[Mapping[str, float]] = MappingProxyType(
    {"shift": 1.0, "rotation": 14.0, "scale": 0.14, "shear": 0.0, "elastic": 1.2, "correlation": 5.0}
)
"""For networks that see each image a hundred times and more: stronger, but without shear."""


class Recipe(NamedTuple):
    """A way to train; the option of a field's name, where there is one, overrides it.

    Fields that a `plan.Plan` has too mean the same there.

    batch_size    None is the full batch.
    deformation   of the images, as figures of `augment.Deformation`; with `augment` they are deformed in training.
    dev           images cut from the training set, at most a tenth of it.
    train_images  at most so many of the rest are trained on; None for all.
    min_steps     a small set is gone through more often than `epochs`, until so many steps are done.
    reports       how many reports a run gives; None for one each epoch.
    """

    name: str
    what: str
    hidden: tuple[int, ...]
    epochs: int
    batch_size: int | None
    learning_rate: float
    initialiser: str
    dev: int
    activation: str = "relu"
    optimizer: str = "sgd"
    schedule: str = "constant"
    momentum: float = 0.9
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    ema: float = 0.0
    dropout: tuple[float, ...] | float = 0.0
    label_smoothing: float = 0.0
    early_stopping: int | None = None
    augment: bool = False
    deformation: Mapping[str, float] = DEFORMATION
    train_images: int | None = None
    min_steps: int = 0
    reports: int | None = None

    def epochs_for(self, images: int) -> int:
        """How many epochs this recipe gives a training set of so many images."""
        steps_an_epoch = 1 if self.batch_size is None else -(-images // self.batch_size)
        return max(self.epochs, -(-self.min_steps // steps_an_epoch))

    def report_every(self) -> int:
        """Epochs between reports."""
        return 1 if self.reports is None else max(1, self.epochs // self.reports)

    def dev_for(self, images: int) -> int:
        """How many of so many training images this recipe holds out."""
        return min(self.dev, images // 10)


RECIPES: Final = MappingProxyType(
    {
        recipe.name: recipe
        for recipe in (
            Recipe(
                name="classic",
                what="784-10-10, plain mini-batch gradient descent",
                hidden=(10,),
                epochs=20,
                batch_size=32,
                learning_rate=0.05,
                initialiser="he",
                dev=5000,
                min_steps=4000,
            ),
            Recipe(
                name="notebook",
                what="the original run: full batch, uniform(-0.5, 0.5) start, 1,200 steps on 41,000 images",
                hidden=(10,),
                epochs=1200,
                batch_size=None,
                learning_rate=0.2,
                initialiser="notebook",
                dev=1000,
                train_images=41000,
                reports=24,
            ),
            Recipe(
                name="quick",
                what="784-256-10 in less than a second, about 98.3%",
                hidden=(256,),
                epochs=3,
                batch_size=128,
                learning_rate=0.4,
                initialiser="he",
                dev=0,
                optimizer="nesterov",
                schedule="onecycle:warmup=0.15",
                label_smoothing=0.1,
                min_steps=1000,
            ),
            Recipe(
                name="accurate",
                what="784-1024-512-10 on deformed images, about 99.3% in a minute",
                hidden=(1024, 512),
                epochs=32,
                batch_size=256,
                learning_rate=0.3,
                initialiser="he",
                dev=0,
                optimizer="nesterov",
                schedule="onecycle",
                label_smoothing=0.05,
                augment=True,
                min_steps=2000,
            ),
            Recipe(
                name="record",
                what="784-2000-1500-1000-500-10 on deformed images, as far as a plain network goes, under an hour",
                hidden=(2000, 1500, 1000, 500),
                epochs=250,
                batch_size=256,
                learning_rate=0.2,
                initialiser="he",
                dev=0,
                optimizer="nesterov",
                schedule="onecycle",
                augment=True,
                deformation=UNSHEARED,
                min_steps=2000,
            ),
        )
    }
)


def get(name: str) -> Recipe:
    """The recipe of that name, else UsageError."""
    if name not in RECIPES:
        raise UsageError("unknown recipe", where="--recipe", expected=" or ".join(RECIPES), found=repr(name))
    return RECIPES[name]
