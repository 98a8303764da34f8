"""A whole training, written with the pure functions: python examples/from_scratch.py."""

import fnnet
from fnnet.core.rng import order
from fnnet.data import load

SIZES, EPOCHS, BATCH_SIZE, LEARNING_RATE, SEED = (784, 30, 10), 20, 32, 0.1, 0

data = load("digits")
(x, labels), test = data.train, data.test
assert test
params = fnnet.init(SIZES, SEED)

for epoch in range(EPOCHS):
    shuffled = order(SEED, "shuffle", len(x), epoch=epoch)
    for start in range(0, len(x), BATCH_SIZE):
        batch = shuffled[start : start + BATCH_SIZE]
        # Forward: Z1 = X W1 + b1, A1 = max(Z1, 0), Z2 = A1 W2 + b2, P = softmax(Z2).
        activations = fnnet.forward(params, x[batch])
        # Backward: dZ2 = (P - Y) / n, dW2 = A1^T dZ2, dZ1 = dZ2 W2^T where Z1 > 0, dW1 = X^T dZ1.
        grads = fnnet.backward(params, activations, labels[batch])
        # Gradient descent: W = W - rate dW, b = b - rate db.
        params = fnnet.update(params, grads, LEARNING_RATE)
    print(f"epoch {epoch + 1:2}: loss {fnnet.loss(params, x, labels):.4f}")

predicted = fnnet.predict(params, test.x)
print(f"test accuracy: {(predicted == test.labels).mean():.2%}")
