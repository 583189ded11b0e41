"""Times the training step of the shipped ConditionalVAE against the same step in PyTorch, eager and compiled.

    pip install -e ".[benchmark]"  # PyTorch; torch.compile also needs a C++ compiler
    python tests/benchmarks/step.py [--steps 40]
    python tests/benchmarks/step.py --profile  # where the time of our own step goes; needs no PyTorch

Each side is a process of its own, on the same number of threads, with the same first weights and the same clips. Before
the clock starts, three steps are made on both with the same draws of noise, and every term of the
loss has to agree to 1e-3: losses, gradients, clipping, Adam and learning rate are then the same. The timed steps draw
their own noise. The sides take turns of five steps; the median of all is reported, and each process's peak memory. The
table goes to `lib/cvae_lab/results/speed_step.csv`. torch.compile keeps what it compiled: its first steps take minutes in
the first run.
"""

import argparse
import math
import multiprocessing
import os
import resource
import statistics
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np

RESULTS = (
    Path(__file__).resolve().parents[2]
    / "lib"
    / "cvae_lab"
    / "results"
    / "speed_step.csv"
)
NUM_STEPS = 1440  # of the training that the step belongs to: learning rate and moving average depend on it
BATCH, NUM_CHECKED, TURN = 32, 3, 5
GENRES = tuple("abcdef")
TERMS = ("loss", "rms_db", "kl")


class Ours:
    """The step of the library, traced as `fit` traces it."""

    def __init__(self):
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import keras
        import tensorflow as tf

        from cvae_music import ConditionalVAE
        from cvae_music.training import compile_model

        keras.utils.set_random_seed(0)
        self.model, rng = ConditionalVAE(genres=GENRES), np.random.default_rng(0)
        compile_model(self.model, NUM_STEPS)
        clips = np.clip(
            rng.normal(-0.3, 0.4, (BATCH, *self.model.audio_config.shape)), -1.0, 1.0
        ).astype("float32")
        self.data = clips, (np.arange(BATCH) % len(GENRES)).astype("int32")
        self.given = [tf.constant(value) for value in self.data]
        self.traced = tf.function(self.model.train_step, autograph=False)
        self.step = lambda: float(self.traced(self.given)["loss"])

    def parts(self):
        """The two networks by name."""
        model = self.model
        return {"encoder": model.encoder, "decoder": model.decoder}

    def checked_steps(self):
        """What the other side needs to make the same steps, and the terms of the loss that these steps had."""
        layers = {
            (part, layer.name): layer
            for part, network in self.parts().items()
            for layer in network.layers
        }
        weights = {
            (*key, w.name): np.array(w)
            for key, layer in layers.items()
            for w in layer.trainable_weights
        }
        found = []
        with fed_noise() as drawn:
            for _ in range(NUM_CHECKED):
                self.model.reset_metrics()
                terms = self.model.train_step(self.data)
                found.append({name: float(value) for name, value in terms.items()})
        return {"data": self.data, "weights": weights, "drawn": drawn}, found

    def functions(self):
        """Parts of the step by name: a function of nothing, and the variables and tensors that it is differentiated by."""
        import tensorflow as tf

        from cvae_music.models import losses

        model, parts, rng = self.model, self.parts(), np.random.default_rng(2)
        clips, weights = (
            tf.constant(self.data[0]),
            model.genre_weights(tf.constant(self.data[1])),
        )
        latent = tf.constant(
            rng.normal(size=(BATCH, model.latent_dim)).astype("float32")
        )
        rebuilt = 0.9 * clips

        def square(network, *given):
            return lambda: tf.reduce_mean(tf.square(network(*given, training=True)))

        return {
            "encoder, 32 clips": (
                square(parts["encoder"], clips),
                parts["encoder"],
                [],
            ),
            "decoder, 32 clips": (
                square(parts["decoder"], [latent, weights]),
                parts["decoder"],
                [latent],
            ),
            "contrast": (lambda: losses.contrast_loss(clips, rebuilt), None, [rebuilt]),
            "all losses": (
                lambda: model.compute_losses(clips, self.data[1], True)[0]["loss"],
                model,
                [],
            ),
        }

    def differentiated(self, function, network, tensors):
        """The traced function that runs a part forwards and backwards and returns one number of each gradient."""
        import tensorflow as tf

        def both_ways():
            with tf.GradientTape() as tape:
                tape.watch(tensors)
                result = function()
            variables = (
                []
                if network is None
                else [variable.value for variable in network.trainable_variables]
            )
            gradients = tape.gradient(result, variables + tensors)
            return [
                result,
                *(
                    tf.reshape(value, [-1])[0]
                    for value in gradients
                    if value is not None
                ),
            ]

        return tf.function(both_ways, autograph=False)


def profile_table(num_steps=20):
    """Where the time of our step goes: each part forwards and backwards by itself, in turns with the others.

    The optimizer's part is the whole step less its losses. Processor time is that of all threads, which work beside it
    hardly lengthens. `of_matrix_rate` is the arithmetic of matrix products and convolutions over what a product of two
    1024 x 1024 matrices does in the same time.

    Returns:
        List of dictionaries.
    """
    ours = Ours()
    import tensorflow as tf

    square = tf.random.normal((1024, 1024))
    traced = {
        name: ours.differentiated(*part) for name, part in ours.functions().items()
    }
    traced |= {
        "1024 x 1024 product": tf.function(
            lambda: tf.reduce_sum(square @ square), autograph=False
        )
    }
    calls = {
        name: (function.get_concrete_function(), ())
        for name, function in traced.items()
    }
    calls["whole step"] = ours.traced.get_concrete_function(ours.given), (ours.given,)
    giga = {name: arithmetic(function.graph) for name, (function, _) in calls.items()}
    wall, processor = ({name: [] for name in calls} for _ in range(2))
    for step in range(num_steps + 3):
        for name, (function, given) in calls.items():
            start = time.perf_counter(), time.process_time()
            tf.nest.map_structure(float, function(*given))
            if step >= 3:
                wall[name].append(1000.0 * (time.perf_counter() - start[0]))
                processor[name].append(1000.0 * (time.process_time() - start[1]))
    wall, processor = (
        {name: statistics.median(values) for name, values in of.items()}
        for of in (wall, processor)
    )
    for of in (wall, processor, giga):
        of["optimizer"] = of["whole step"] - of["all losses"]
    rate = giga["1024 x 1024 product"] / processor["1024 x 1024 product"]
    return [
        {
            "part": name,
            "wall_ms": round(wall[name], 1),
            "processor_ms": round(processor[name], 1),
            "gigaflop": round(giga[name], 2),
            "of_matrix_rate": round(giga[name] / processor[name] / rate, 2),
        }
        for name in wall
    ]


def arithmetic(graph):
    """Thousand millions of floating-point operations in the matrix products and convolutions of a graph."""
    found = 0
    for operation in graph.get_operations():
        output = operation.outputs[0].shape if operation.outputs else None
        if operation.type in ("MatMul", "BatchMatMulV2"):
            shape = operation.inputs[0].shape.as_list()
            turned = operation.get_attr(
                "transpose_a" if operation.type == "MatMul" else "adj_x"
            )
            found += 2 * math.prod(output.as_list()) * shape[-2 if turned else -1]
        elif operation.type == "Conv2D":
            found += (
                2
                * math.prod(output.as_list())
                * math.prod(operation.inputs[1].shape.as_list()[:3])
            )
        elif operation.type in ("Conv2DBackpropInput", "Conv2DBackpropFilter"):
            kernel = (
                output
                if operation.type.endswith("Filter")
                else operation.inputs[1].shape
            )
            found += (
                2
                * math.prod(operation.inputs[2].shape.as_list())
                * math.prod(kernel.as_list()[:3])
            )
    return found / 1e9


@contextmanager
def fed_noise():
    """Takes the noise of the losses from NumPy; yields the list of the draws, in order."""
    import keras
    import tensorflow as tf

    rng, drawn, own = np.random.default_rng(1), [], keras.random

    class Fed:
        SeedGenerator = own.SeedGenerator

        def keep(self, value):
            drawn.append(value)
            return tf.constant(value)

        def normal(self, shape, mean=0.0, stddev=1.0, seed=None):
            return self.keep(
                rng.normal(mean, stddev, [int(size) for size in shape]).astype(
                    "float32"
                )
            )

    keras.random = Fed()
    try:
        yield drawn
    finally:
        keras.random = own


class Part:
    """One network of the twin: PyTorch's layers over weights that carry the names of ours."""

    def __init__(self, weights):
        self.weights = weights

    def dense(self, x, name):
        from torch.nn.functional import linear

        return linear(x, self.weights[name, "kernel"], self.weights.get((name, "bias")))

    def conv(self, x, name, stride=1, padding=0):
        from torch.nn.functional import conv1d

        weight, bias = self.weights[name, "kernel"], self.weights[name, "bias"]
        return conv1d(
            x.transpose(1, 2), weight, bias, stride=stride, padding=padding
        ).transpose(1, 2)

    def norm(self, x, name):
        from torch.nn.functional import layer_norm

        return layer_norm(
            x,
            x.shape[-1:],
            self.weights[name, "gamma"],
            self.weights[name, "beta"],
            1e-3,
        )

    def block(self, x, name, condition=None):
        from torch.nn.functional import gelu

        h = self.norm(x, f"{name}_norm")
        if condition is not None:
            scale, shift = self.dense(condition, f"{name}_film")[:, None, :].chunk(
                2, dim=-1
            )
            h = h * (1.0 + scale) + shift
        return x + self.dense(
            gelu(self.conv(h, f"{name}_conv", padding=1)), f"{name}_out"
        )


class Twin:
    """The same step in PyTorch: `torch.optim.Adam` in its fused form, clipping and average on lists of tensors.

    Args:
        given: What `Ours.checked_steps` returned.
        compiled: Whether `torch.compile` makes one graph of the losses.
    """

    def __init__(self, given, compiled):
        import torch

        self.torch = torch
        turned = {
            2: lambda w: w.T,
            3: lambda w: w.transpose(2, 1, 0),
        }  # kernels of Keras have their output last
        weights = {
            key: torch.nn.Parameter(
                torch.tensor(np.ascontiguousarray(turned.get(w.ndim, lambda w: w)(w)))
            )
            for key, w in given["weights"].items()
        }
        self.encoder, self.decoder = (
            Part({key[1:]: value for key, value in weights.items() if key[0] == part})
            for part in ("encoder", "decoder")
        )
        self.weights = list(weights.values())
        self.averages = [value.detach().clone() for value in self.weights]
        self.adam = torch.optim.Adam(self.weights, lr=1e-3, eps=1e-7, fused=True)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.adam, self.share_of_rate)
        self.momentum = max(0.0, min(0.995, 1.0 - 10.0 / NUM_STEPS))
        self.clips, self.truth = (
            torch.tensor(given["data"][0]),
            torch.eye(len(GENRES))[given["data"][1]],
        )
        self.smooth = {
            width: torch.tensor(moving_average_matrix(128, width))
            for width in (4, 8, 9)
        }
        self.terms = self.drawn = None
        compiled_losses = torch.compile(self.losses) if compiled else self.losses
        self.step = lambda: self.make_step(compiled_losses)["loss"]

    @staticmethod
    def share_of_rate(step, lowest=0.02):
        warmup = NUM_STEPS // 10
        if step < warmup:
            return 0.05 + 0.95 * step / warmup
        return lowest + (1.0 - lowest) * 0.5 * (
            1.0 + math.cos(math.pi * (step - warmup) / (NUM_STEPS - warmup))
        )

    def check(self, given, expected):
        """Makes the steps that ours made, with the same draws."""
        self.drawn = [self.torch.tensor(value) for value in given["drawn"]]
        for step in range(NUM_CHECKED):
            found = self.make_step(self.losses)
            for name in TERMS:
                assert math.isclose(
                    found[name], expected[step][name], rel_tol=1e-3, abs_tol=1e-4
                ), (
                    f"step {step}, {name}: {found[name]} here, {expected[step][name]} in the library"
                )
        assert not self.drawn, f"{len(self.drawn)} draws of the library were not used"
        self.drawn = None

    def normal(self, *shape):
        return self.drawn.pop(0) if self.drawn else self.torch.randn(shape)

    def make_step(self, losses):
        torch = self.torch
        self.adam.zero_grad(set_to_none=True)
        terms = losses(self.clips, self.truth)
        terms["loss"].backward()
        torch.nn.utils.clip_grad_norm_(self.weights, 5.0)
        self.adam.step()
        self.schedule.step()
        with torch.no_grad():
            torch._foreach_lerp_(self.averages, self.weights, 1.0 - self.momentum)
        return {name: value.item() for name, value in terms.items()}

    def losses(self, clips, truth):
        torch = self.torch
        mean, log_var = self.encode(clips)
        latent = mean + torch.exp(0.5 * log_var) * self.normal(*mean.shape)
        rebuilt = self.decode(latent, truth)
        kl = torch.sum(
            torch.mean(0.5 * (mean.square() + log_var.exp() - 1.0 - log_var), dim=0)
        )
        squared = torch.mean(torch.square(clips - rebuilt))
        distortion = squared + 0.6 * torch.mean(
            torch.square(self.strength(clips) - self.strength(rebuilt))
        )
        nll = (
            0.5
            * clips[0].numel()
            * (torch.log(2.0 * math.pi * (distortion + 1e-6)) + 1.0)
        )
        rms = squared.sqrt() * 35.0
        return {"loss": nll + kl, "rms_db": rms, "kl": kl}

    def encode(self, clips):
        from torch.nn.functional import gelu

        part, torch = self.encoder, self.torch
        x = part.block(part.conv(clips, "patch", stride=4), "quarter")
        x = part.conv(x, "half_beat", stride=2)
        for index in range(3):
            x = part.block(x, f"half_{index}")
        beats = gelu(part.conv(part.norm(x, "norm"), "beat", stride=2))
        whole = gelu(part.dense(part.dense(beats, "narrow").flatten(1), "summary"))
        mean, log_var = (
            torch.cat(
                [
                    part.dense(whole, f"global_{k}"),
                    part.dense(beats, f"local_{k}").flatten(1),
                ],
                dim=-1,
            )
            for k in range(2)
        )
        return mean, 5.0 * torch.tanh((log_var + 3.0) / 5.0) - 3.0

    def decode(self, latent, genre):
        from torch.nn.functional import gelu

        part, torch, size = self.decoder, self.torch, len(latent)
        described = torch.cat(
            [latent[:, :32], part.dense(genre, "genre_embedding")], dim=-1
        )
        condition = gelu(
            part.dense(gelu(part.dense(described, "condition_hidden")), "condition")
        )
        x = torch.cat(
            [
                part.dense(described, "from_whole").view(size, 8, 32),
                latent[:, 32:].reshape(size, 8, 8),
            ],
            dim=-1,
        )
        x = part.dense(x, "beat").view(size, 16, 208)
        for index in range(3):
            x = part.block(x, f"half_{index}", condition)
        x = part.dense(x, "quarter").view(size, 32, 176)
        for index in range(2):
            x = part.block(x, f"quarter_{index}", condition)
        x = part.dense(x, "patch").view(size, 128, 128)
        for index in range(2):
            x = part.block(x, f"frame_{index}", condition)
        return part.dense(x, "log_mel")

    def strength(self, scaled):
        energy = self.torch.square(scaled - scaled @ self.smooth[9].T)
        return self.torch.sqrt(
            self.smooth[4][2::2] @ (energy @ self.smooth[8][4::4].T) + 1e-5
        )


def moving_average_matrix(size, width):
    near = (
        np.abs(np.subtract.outer(np.arange(size), np.arange(size))) <= width / 2
    ).astype("float32")
    return near / near.sum(axis=1, keepdims=True)


def side(pipe, kind, given):
    """A process that makes steps when asked to: receives how many, sends the milliseconds of each, then its peak memory."""
    if kind == "ours":
        made = Ours()
        pipe.send(made.checked_steps())
    else:
        import torch

        torch.set_num_threads(os.cpu_count())
        made = Twin(given[0], compiled=kind == "compiled")
        made.check(*given)
        pipe.send("agrees")
    start = time.perf_counter()
    for _ in range(3):
        made.step()
    pipe.send(time.perf_counter() - start)
    for count in iter(pipe.recv, None):
        milliseconds = []
        for _ in range(count):
            start = time.perf_counter()
            made.step()
            milliseconds.append(1000.0 * (time.perf_counter() - start))
        pipe.send(milliseconds)
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def step_table(num_steps=40):
    """The table `step`: one row a side with its median step, peak memory, and the seconds before its fourth step.

    Returns:
        List of dictionaries.
    """
    spawn, pipes, given, starts = multiprocessing.get_context("spawn"), {}, None, {}
    names = {
        "ours": "Keras on TensorFlow",
        "eager": "PyTorch, eager",
        "compiled": "PyTorch, torch.compile",
    }
    for kind in names:
        pipes[kind], end = spawn.Pipe()
        spawn.Process(target=side, args=(end, kind, given), daemon=True).start()
        end.close()  # so that a side that fails ends the waiting
        given = pipes[kind].recv() if kind == "ours" else given
        if kind != "ours":
            pipes[kind].recv()
        starts[kind] = pipes[kind].recv()
    found = {kind: [] for kind in names}
    while len(found["ours"]) < num_steps:
        for kind, pipe in pipes.items():
            pipe.send(TURN)
            found[kind] += pipe.recv()
    rows = []
    for kind, pipe in pipes.items():
        pipe.send(None)
        median = statistics.median(found[kind])
        rows.append(
            {
                "side": names[kind],
                "a step (ms)": round(median, 1),
                "of ours": round(median / statistics.median(found["ours"]), 2),
                "peak memory (MiB)": round(pipe.recv()),
                "first three steps (s)": round(starts[kind], 1),
            }
        )
    return rows


def main():
    import pandas as pd

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--steps", type=int, default=40, help="timed steps of each side, at least 30"
    )
    parser.add_argument(
        "--profile",
        action="store_true",
        help="where the time of our own step goes, in place of a comparison",
    )
    options = parser.parse_args()
    table = pd.DataFrame(
        profile_table(options.steps) if options.profile else step_table(options.steps)
    )
    if not options.profile:
        table.to_csv(RESULTS, index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
