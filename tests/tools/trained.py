"""A short training whose weights depend on all that is random; processes that only train import no pytest."""

import numpy as np

import fnnet
from fnnet.core import rng
from fnnet.core.deform import Deformation
from fnnet.core.params import weights_sha256
from fnnet.core.state import Examples
from fnnet.training import epochs
from fnnet.training.plan import Plan

STRONG = Deformation(shift=2.0, rotation=20.0, scale=0.2, shear=0.3, elastic=1.5, correlation=4.0)
PLAN = Plan(epochs=2, batch_size=32, learning_rate=0.1, optimizer="adam", dropout=0.2, deformation=STRONG)


def trained(kernels, plan=PLAN, hidden=(20,)):
    """The weights' digest after a short training of images that the seed gives."""
    x = (rng.words(5, "check", 300 * 98).view(np.uint8).reshape(300, 784) // 2) * (np.arange(784) % 5 == 0)
    examples = Examples(x.astype(np.uint8), np.arange(300) % 10)
    training = epochs.start(fnnet.init((784, *hidden, 10), 3), 3, plan)
    for reached in epochs.epochs(training, examples, plan, image_shape=(28, 28), kernels=kernels):
        training = reached
    return weights_sha256(training.state.params)
