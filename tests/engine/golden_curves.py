"""Writes golden_curves.h: 20 losses of three small models under AdamW, computed in double precision apart from the engine, with NumPy
and the package `autograd` (pip install numpy autograd). Not part of the product, and not run by the tests:

    python3 tests/engine/golden_curves.py > tests/engine/golden_curves.h

The models are those of test_golden_curves.c. Inputs and initial values are formulas, so that both sides have the same.
"""
import autograd.numpy as np
from autograd import grad

STEPS = 20


def wave(shape, pace, start):
    return np.sin(pace * np.arange(int(np.prod(shape))) + start).reshape(shape)


def initial(name, shape):
    base = 1.0 if name.startswith("norm") and name.endswith(".weight") else 0.0
    return base + 0.3 * wave(shape, 0.37, 0.11 * sum(name.encode()))


def linear(p, name, x):
    return x @ p[name + ".weight"].T + p[name + ".bias"]


def layernorm(p, name, x):
    mean = np.mean(x, axis=-1, keepdims=True)
    variance = np.mean((x - mean) ** 2, axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5) * p[name + ".weight"] + p[name + ".bias"]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def log_softmax(x):
    return x - np.log(np.sum(np.exp(x), axis=-1, keepdims=True))


# ---- a perceptron that tells classes apart

MLP = {"in.weight": (24, 10), "in.bias": (24,), "norm.weight": (24,), "norm.bias": (24,),
       "mid.weight": (12, 24), "mid.bias": (12,), "head.weight": (4, 12), "head.bias": (4,)}


def mlp_loss(p):
    x, classes = wave((16, 10), 0.7, 0.3), np.arange(16) % 4
    z = linear(p, "in", x)
    h = np.tanh(linear(p, "mid", layernorm(p, "norm", z * sigmoid(z))))
    return -np.mean(log_softmax(linear(p, "head", h))[np.arange(16), classes])


# ---- tokens with a bit of everything

B, T, D = 6, 5, 8
TOKENS = {"in.weight": (D, 9), "in.bias": (D,), "kind.weight": (4, D), "mask.weight": (D,),
          "norm1.weight": (D,), "norm1.bias": (D,), "qkv.weight": (3 * D, D), "qkv.bias": (3 * D,),
          "out.weight": (D, D), "out.bias": (D,), "norm2.weight": (D,), "norm2.bias": (D,),
          "up.weight": (4 * D, D), "up.bias": (4 * D,), "down.weight": (D, 2 * D), "down.bias": (D,),
          "velocity.weight": (9, D), "velocity.bias": (9,), "pool.weight": (D,), "pool.bias": (1,),
          "head.weight": (3, D), "head.bias": (3,), "embed.weight": (4, D), "embed.bias": (4,)}
LENGTHS = np.array([5, 3, 1, 5, 2, 4])


def attention(qkv, heads):
    parts = np.reshape(qkv, (B, T, 3, heads, D // heads))
    q, k, v = [np.transpose(parts[:, :, i], (0, 2, 1, 3)) for i in range(3)]
    shares = np.exp(log_softmax(q @ np.transpose(k, (0, 1, 3, 2)) / np.sqrt(D // heads)))
    return np.reshape(np.transpose(shares @ v, (0, 2, 1, 3)), (B, T, D))


def tokens_loss(p):
    number = np.arange(B * T).reshape(B, T)
    classes = np.arange(B) % 3
    valid = (np.arange(T)[None, :] < LENGTHS[:, None]).astype(float)
    h = linear(p, "in", wave((B, T, 9), 0.7, 0.3)) + p["kind.weight"][number % 4]
    hidden = (number % 4 == 1).astype(float)[..., None]
    h = hidden * p["mask.weight"] + (1 - hidden) * h
    h = h + linear(p, "out", attention(linear(p, "qkv", layernorm(p, "norm1", h)), 2))
    up = linear(p, "up", layernorm(p, "norm2", h))
    h = h + linear(p, "down", up[..., :2 * D] * gelu(up[..., 2 * D:]))
    error = np.mean((linear(p, "velocity", h) - wave((B, T, 9), 0.4, 1.3)) ** 2, axis=-1)
    loss = np.sum(valid * error) / np.sum(valid)

    score = h @ p["pool.weight"] + p["pool.bias"]
    share = valid * np.exp(score)
    pooled = np.sum((share / np.sum(share, axis=1, keepdims=True))[..., None] * h, axis=1)
    log_p = log_softmax(linear(p, "head", pooled))
    loss = loss + 0.5 * np.mean(-0.9 * log_p[np.arange(B), classes] - 0.1 * np.mean(log_p, axis=-1))

    z = linear(p, "embed", pooled)
    z = z / np.sqrt(np.sum(z * z, axis=-1, keepdims=True))
    similarity = z @ z.T / 0.5
    others = 1 - np.eye(B)
    same = others * (classes[:, None] == classes[None, :])
    log_sum = np.log(np.sum(others * np.exp(similarity), axis=1))
    return loss + 0.25 * np.mean(log_sum - np.sum(same * similarity, axis=1) / np.sum(same, axis=1))


# ---- convolutions with batch normalisation, in two shards

SHARDS = {"in.weight": (D, 9), "in.bias": (D,), "norm1.weight": (D,), "norm1.bias": (D,), "conv.weight": (6, 3 * D),
          "conv.bias": (6,), "norm2.weight": (6,), "norm2.bias": (6,), "head.weight": (3, 6), "head.bias": (3,)}


def batchnorm(p, name, x, counts, running, seen):
    """By the averages in `running`, or without it by the rows that count, whose mean and unbiased variance go to `seen`."""
    n = np.sum(counts)
    mean = np.sum(counts * x, axis=(0, 1)) / n
    variance = np.sum(counts * (x - mean) ** 2, axis=(0, 1)) / n
    if seen is not None:
        seen[name] = (mean, variance * n / (n - 1))
    if running is not None:
        mean, variance = running[name]
    return counts * ((x - mean) / np.sqrt(variance + 1e-5) * p[name + ".weight"] + p[name + ".bias"])


def shard_loss(p, shard, running=None, seen=None):
    valid = (np.arange(T)[None, :] < LENGTHS[:, None]).astype(float)[..., None]
    h = np.tanh(linear(p, "in", wave((B, T, 9), 0.7, 0.3 + shard)))
    h = batchnorm(p, "norm1", h, valid, running, seen)
    around = np.concatenate([np.zeros((B, 1, D)), h, np.zeros((B, 1, D))], axis=1)
    windows = np.concatenate([around[:, k:k + T] for k in range(3)], axis=-1)
    h = linear(p, "conv", windows)
    h = batchnorm(p, "norm2", h * sigmoid(h), np.ones((B, T, 1)), running, seen)
    pooled = np.sum(valid * h, axis=1) / LENGTHS[:, None]
    return -np.mean(log_softmax(linear(p, "head", pooled))[np.arange(B), (np.arange(B) + shard) % 3])


class Shards:
    """The loss in training, the mean over the shards, and beside it the loss by the running averages at the time."""

    def __init__(self):
        self.running = {"norm1": (np.zeros(D), np.ones(D)), "norm2": (np.zeros(6), np.ones(6))}
        self.calm = []

    def loss(self, p):
        return (shard_loss(p, 0) + shard_loss(p, 1)) / 2

    def move(self, p):
        self.calm.append((shard_loss(p, 0, self.running) + shard_loss(p, 1, self.running)) / 2)
        seen = [{}, {}]
        for shard in range(2):
            shard_loss(p, shard, None, seen[shard])
        for name, old in self.running.items():
            self.running[name] = tuple(0.9 * old[k] + 0.1 * (seen[0][name][k] + seen[1][name][k]) / 2 for k in range(2))


# ---- AdamW (Loshchilov & Hutter 2019)

def curve(loss, shapes, before_step=None, rate=0.01, beta1=0.9, beta2=0.999, epsilon=1e-8, decay=0.01):
    p = {name: initial(name, shape) for name, shape in shapes.items()}
    m = {name: np.zeros(shape) for name, shape in shapes.items()}
    v = {name: np.zeros(shape) for name, shape in shapes.items()}
    decayed = [name for name in p if name.endswith(".weight") and not name.startswith(("norm", "kind", "mask"))]
    out = []
    for step in range(1, STEPS + 1):
        out.append(loss(p))
        g = grad(loss)(p)
        if before_step:
            before_step(p)
        for name in p:
            m[name] = beta1 * m[name] + (1 - beta1) * g[name]
            v[name] = beta2 * v[name] + (1 - beta2) * g[name] ** 2
            update = m[name] / (1 - beta1**step) / (np.sqrt(v[name] / (1 - beta2**step)) + epsilon)
            p[name] = p[name] - rate * (update + (decay if name in decayed else 0) * p[name])
    return out


def show(name, values):
    lines = "\n".join(f"    {value:.15e}," for value in values)
    return f"static const double {name}[] = {{\n{lines}\n}};"


print("/* Written by golden_curves.py: losses of 20 steps of AdamW, computed in double precision apart from the engine. */")
print("#ifndef GOLDEN_CURVES_H\n#define GOLDEN_CURVES_H\n\n/* clang-format off */")
print(show("golden_mlp", curve(mlp_loss, MLP)))
print(show("golden_tokens", curve(tokens_loss, TOKENS)))
shards = Shards()
print(show("golden_shards", curve(shards.loss, SHARDS, shards.move)))
print(show("golden_shards_calm", shards.calm))
print("/* clang-format on */\n\n#endif")
