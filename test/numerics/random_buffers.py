# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random programs of tensors against numpy: does any buffer get overwritten while it is still needed?

    random_buffers.py [programs [first seed [flags of moirec]]]

Programs mix products, pointwise ops, norms, views, concatenations, loops within loops and states, with carried
values that swap, stay, are stacked before or after their update, and results that are views or arguments. Every
program is compiled and run; its numbers must be those of a direct evaluation. A failure prints the seed and the text.
"""
import random
import sys

import numpy as np

import moire_native


class Program:
    """One random function: its text and, at the same time, closures that evaluate it."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.data = np.random.default_rng(seed)
        self.count = 0
        self.lines, self.arguments, self.values = [], [], []
        self.depth = 1

    def name(self):
        self.count += 1
        return f"%v{self.count}"

    @staticmethod
    def type(shape):
        return "tensor<" + "".join(f"{extent}x" for extent in shape) + "f32>"

    def argument(self, shape, state=None):
        name = f"%a{len(self.arguments)}"
        values = (self.data.standard_normal(shape) * 0.5).astype(np.float32)
        self.arguments.append((name, tuple(shape), state))
        self.values.append(values)
        return name, tuple(shape)

    def line(self, text):
        self.lines.append("  " * self.depth + text)

    # A scope is a list of (name, shape); steps are functions of an environment {name: array}.
    def pick(self, scope, shape=None):
        fitting = [value for value in scope if shape is None or value[1] == shape]
        # Late values more often: chains, not stars.
        return self.random.choice(fitting[-6:] if self.random.random() < 0.7 else fitting) if fitting else None

    def op(self, scope, steps):
        kinds = ["linear", "unary", "unary", "binary", "binary", "norm", "slice", "concat", "reshape"]
        kind = self.random.choice(kinds)
        x = self.pick(scope)
        if kind == "binary":
            x, y = self.pick(scope), None
            y = self.pick(scope, x[1])
            out, which = self.name(), self.random.choice(["add", "mul", "sub"])
            t = self.type(x[1])
            self.line(f"{out} = moire.binary {which} {x[0]}, {y[0]} : ({t}, {t}) -> {t}")
            f = {"add": np.add, "mul": np.multiply, "sub": np.subtract}[which]
            # Halved, so that loops do not blow up.
            half = self.name()
            self.line(f"{half} = moire.scale {out} by 0.5 : {t}")
            steps.append(lambda e: e.__setitem__(half, (f(e[x[0]], e[y[0]]) * np.float32(0.5))))
            scope.append((half, x[1]))
            return
        out = self.name()
        if kind == "linear":
            columns = self.random.choice([4, 8])
            w = self.argument((x[1][-1], columns))
            shape = x[1][:-1] + (columns,)
            types = f"({self.type(x[1])}, {self.type(w[1])}) -> {self.type(shape)}"
            self.line(f"{out} = moire.linear {x[0]}, {w[0]} : {types}")
            steps.append(lambda e: e.__setitem__(out, e[x[0]] @ e[w[0]]))
        elif kind == "unary":
            which = self.random.choice(["neg", "relu", "sigmoid"])
            shape = x[1]
            self.line(f"{out} = moire.unary {which} {x[0]} : {self.type(shape)}")
            f = {"neg": np.negative, "relu": lambda v: np.maximum(v, 0), "sigmoid": lambda v: 1 / (1 + np.exp(-v))}[which]
            steps.append(lambda e: e.__setitem__(out, f(e[x[0]])))
        elif kind == "norm":
            w = self.argument((x[1][-1],))
            shape = x[1]
            types = f"({self.type(shape)}, {self.type(w[1])}) -> ({self.type(shape)}, {self.type(shape[:-1])})"
            self.line(f"{out}, {out}r = moire.rms_norm {x[0]}, {w[0]} eps 1.0e-1 : {types}")
            steps.append(lambda e: e.__setitem__(
                out, e[x[0]] / np.sqrt((e[x[0]] ** 2).mean(-1, keepdims=True) + np.float32(0.1)) * e[w[0]]))
        elif kind == "slice":
            dim = self.random.randrange(len(x[1]))
            extent = x[1][dim]
            size = self.random.choice([s for s in (1, 2, 4, extent // 2, extent) if 1 <= s <= extent])
            if dim == len(x[1]) - 1:
                size = 4 if extent >= 4 else extent
            at = self.random.randrange(extent - size + 1)
            shape = x[1][:dim] + (size,) + x[1][dim + 1:]
            self.line(f"{out} = moire.slice {x[0]} dim {dim} at {at} : {self.type(x[1])} to {self.type(shape)}")
            index = (slice(None),) * dim + (slice(at, at + size),)
            steps.append(lambda e: e.__setitem__(out, e[x[0]][index]))
        elif kind == "concat":
            y = self.pick(scope, x[1])
            dim = self.random.randrange(len(x[1]))
            if x[1][dim] > 8:
                return
            shape = x[1][:dim] + (2 * x[1][dim],) + x[1][dim + 1:]
            t = self.type(x[1])
            self.line(f"{out} = moire.concat {x[0]}, {y[0]} dim {dim} : ({t}, {t}) -> {self.type(shape)}")
            steps.append(lambda e: e.__setitem__(out, np.concatenate([e[x[0]], e[y[0]]], dim)))
        else:
            total = int(np.prod(x[1]))
            choices = [(total // 4, 4)] + ([(total // 8, 8)] if total % 8 == 0 else []) + (
                [(2, total // 8, 4)] if total % 8 == 0 else [])
            shape = self.random.choice(choices)
            self.line(f"{out} = moire.reshape {x[0]} : {self.type(x[1])} to {self.type(shape)}")
            steps.append(lambda e: e.__setitem__(out, e[x[0]].reshape(shape)))
        scope.append((out, shape))

    def repeat(self, scope, steps, nesting):
        count, reverse = self.random.choice([1, 2, 3]), self.random.random() < 0.4
        carried = [self.pick(scope) for _ in range(self.random.choice([1, 1, 2, 3]))]
        slices = [self.argument((count,) + self.pick(scope)[1]) for _ in range(self.random.choice([0, 1, 2]))]
        inner = [(self.name(), shape) for _, shape in carried]
        rows = [(self.name(), shape[1:]) for _, shape in slices]
        result, header = self.name(), len(self.lines)
        self.lines.append("")
        self.depth += 1
        body, local = [], list(scope) + inner + rows
        for _ in range(self.random.randrange(1, 6)):
            self.step(local, body, nesting + 1)
        mine = local[len(scope):]
        yielded = []
        for value in inner:
            # Often a new value, sometimes another carried one, sometimes itself.
            yielded.append(self.pick(mine, value[1]) or value)
        stacked = [self.random.choice(mine + yielded + inner) for _ in range(self.random.choice([0, 1, 2, 3]))]
        out = [s for _, s in yielded] + [(count,) + s for _, s in stacked]
        types = ", ".join(self.type(s) for _, s in yielded + stacked)
        self.line(f"moire.yield {', '.join(n for n, _ in yielded + stacked)} : {types}")
        self.depth -= 1
        self.line("}")
        text = f"{result}:{len(out)} = moire.repeat {count} {'reverse ' if reverse else ''}carried("
        text += ", ".join(f"{i[0]} = {c[0]} : {self.type(c[1])}" for i, c in zip(inner, carried)) + ")"
        if slices:
            text += " slices(" + ", ".join(f"{r[0]} = {s[0]} : {self.type(s[1])}" for r, s in zip(rows, slices)) + ")"
        text += f" -> ({', '.join(self.type(s) for s in out)}) {{"
        self.lines[header] = "  " * self.depth + text
        names = [(f"{result}#{i}", shape) for i, shape in enumerate(out)]

        def run(e):
            current = [e[c[0]] for c in carried]
            stacks = [[None] * count for _ in stacked]
            for i in range(count):
                row = count - 1 - i if reverse else i
                frame = dict(e)
                frame.update({n[0]: v for n, v in zip(inner, current)})
                frame.update({n[0]: e[s[0]][row] for n, s in zip(rows, slices)})
                for each in body:
                    each(frame)
                for stack, value in zip(stacks, stacked):
                    stack[row] = frame[value[0]]
                current = [frame[y[0]] for y in yielded]
            for name, value in zip(names, current + [np.stack(s) for s in stacks]):
                e[name[0]] = value

        steps.append(run)
        scope.extend(names)

    def step(self, scope, steps, nesting):
        if nesting < 2 and self.random.random() < 0.2:
            self.repeat(scope, steps, nesting)
        else:
            self.op(scope, steps)

    def build(self):
        scope = [self.argument((6, 4)), self.argument((6, 8)), self.argument((12, 4))]
        states = [self.argument(self.random.choice([(6, 4), (6, 8)]), state)
                  for state in range(self.random.choice([0, 0, 1, 2]))]
        scope += states
        steps = []
        self.repeat(scope, steps, 0) if self.random.random() < 0.3 else None
        for _ in range(self.random.randrange(3, 12)):
            self.step(scope, steps, 0)
        results = [self.random.choice(scope[3:]) for _ in range(self.random.choice([1, 2, 3, 4]))]
        updated = [self.pick(scope, shape) for _, shape in states]
        inputs = ", ".join(f"{n}: {self.type(s)}" + (f" {{moire.state = {k} : i64}}" if k is not None else "")
                           for n, s, k in self.arguments)
        outputs = [self.type(s) for _, s in results] + [self.type(s) + f" {{moire.state = {k} : i64}}"
                                                         for k, (_, s) in enumerate(updated)]
        everything = results + updated
        text = [f"func.func @f({inputs}) -> ({', '.join(outputs)}) {{"] + self.lines
        names, types = (", ".join(part) for part in zip(*((n, self.type(s)) for n, s in everything)))
        text.append(f"  return {names} : {types}\n}}")
        return "\n".join(text), steps, results, updated


def check(seed, flags):
    program = Program(seed)
    text, steps, results, updated = program.build()
    environment = {name: value for (name, _, _), value in zip(program.arguments, program.values)}
    for step in steps:
        step(environment)
    try:
        module = moire_native.compile(text, *flags)
        plain = [v for (_, _, k), v in zip(program.arguments, program.values) if k is None]
        states = [v.copy() for (_, _, k), v in zip(program.arguments, program.values) if k is not None]
        got = list(module.call("f", *plain, states=states)) + states
        for (name, _), value in zip(results + updated, got):
            np.testing.assert_allclose(value, environment[name], rtol=2e-3, atol=2e-4, err_msg=name)
    except (AssertionError, RuntimeError) as error:
        print(f"seed {seed}\n{text}\n{error}")
        return False
    return True


def main():
    programs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    failed = [seed for seed in range(first, first + programs) if not check(seed, sys.argv[3:])]
    print(f"{programs - len(failed)} of {programs} programs agree")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
