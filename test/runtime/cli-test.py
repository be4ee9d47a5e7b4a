# ===- test/runtime/cli-test.py - the program moire from outside --------------===
#
# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Runs `moire` as its users do: every subcommand, every refusal, kills, full
# disks, and specs with a stand-in for the compiler.
#
# ===----------------------------------------------------------------------===
import argparse
import glob
import json
import os
import pty
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

import moire_random

MOIRE = FAKES = None
TEXT = "the quick brown fox jumps over the lazy dog. " * 400

# A stand-in for moirec: knows --emit=spec, --emit=package -o FILE and --cost=json, and counts its packages.
COMPILER = """#!/bin/sh
here=$(dirname "$0")
case "$*" in
*broken*) echo "broken.moire:1:1: error: expected a model" >&2; exit 1;;
*--emit=spec*) cat "$1"; echo "// $*";;
*--emit=package*)
  echo "$*" >> "$here/compiled"
  while [ "$1" != -o ]; do shift; done
  cp "{fake}" "$2";;
*--cost=json*) echo '{{"parameters":{{"total":1234567}}}}';;
esac
"""


class Cli(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="moire-cli-")
        self.addCleanup(shutil.rmtree, self.dir)
        self.text = self.write("text.txt", TEXT.encode())
        self.run_dir = self.path("run")
        self.env = dict(os.environ, XDG_CACHE_HOME=self.path("cache"))
        self.env.pop("MOIREC", None)

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, data):
        with open(self.path(name), "wb") as file:
            file.write(data)
        return self.path(name)

    def fake(self, name="fake"):
        return os.path.join(FAKES, name + ".so")

    def moire(self, *arguments, env=None, before=None):
        return subprocess.run([MOIRE, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env={**self.env, **(env or {})}, preexec_fn=before, timeout=120)

    def ok(self, *arguments, **options):
        done = self.moire(*arguments, **options)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stdout.decode(errors="replace")

    def fails(self, message, *arguments, lines=2, **options):
        """Exit code 1, nothing on stdout, and a message of at most `lines` lines on stderr."""
        done = self.moire(*arguments, **options)
        error = done.stderr.decode()
        self.assertEqual(done.returncode, 1, error)
        self.assertIn(message, error)
        self.assertLessEqual(len(error.strip().splitlines()), lines, error)
        return done

    def train(self, *more, package="fake", out=None, **options):
        return self.ok("train", self.fake(package), "--data", self.text, "--out", out or self.run_dir, *more, **options)

    def steps(self, out=None):
        folders = glob.glob((out or self.run_dir) + "/checkpoints/step-*")
        return sorted(int(os.path.basename(folder)[5:]) for folder in folders)

    def weights(self, out, step):
        with open(f"{out}/checkpoints/step-{step:08}/model.safetensors", "rb") as file:
            return file.read()

    def metrics(self, out=None):
        with open((out or self.run_dir) + "/metrics.jsonl") as file:
            return [json.loads(line) for line in file]


class Train(Cli):
    def test_everything_that_a_run_leaves(self):
        output = self.train("--steps", 12, "--seed", 3, "--eval-every", 4, "--log-every", 6, "--checkpoint-every", 5)
        self.assertIn("step  6/12", output)
        self.assertEqual(self.steps(), [5, 10, 12])
        lines = self.metrics()
        self.assertEqual([line["step"] for line in lines], list(range(1, 13)))
        for line in lines:
            for key in ("loss", "grad_norm", "lr", "tokens", "seconds", "tokens_per_s", "layers.0.moe.load"):
                self.assertIn(key, line)
        self.assertEqual([line["step"] for line in lines if "eval_loss" in line], [4, 8, 12])
        with open(self.run_dir + "/run.json") as file:
            run = json.load(file)
        self.assertEqual(run["config"]["steps"], 12)
        self.assertEqual(run["config"]["seed"], 3)
        self.assertEqual(run["config"]["optimizer"]["beta2"], 0.95)
        self.assertEqual(run["data"]["paths"], [self.text])
        self.assertEqual(run["package"]["spec_hash"], "5eed0001")
        self.assertIn("processor", run["machine"])
        with open(self.run_dir + "/spec.moire") as file:
            self.assertIn("model fake()", file.read())

    def test_a_terminal_gets_one_line_that_is_redrawn(self):
        parent, child = pty.openpty()
        process = subprocess.Popen([MOIRE, "train", self.fake(), "--data", self.text, "--out", self.run_dir],
                                   stdout=child, stderr=child, env=self.env)
        os.close(child)
        output = b""
        try:
            while part := os.read(parent, 65536):
                output += part
        except OSError:  # the other end was closed
            pass
        self.assertEqual(process.wait(), 0)
        os.close(parent)
        self.assertEqual(output.count(b"\r\x1b[K"), 20)
        self.assertIn(b"eta", output)

    def test_threads_do_not_change_bits(self):
        self.train("--threads", 1)
        self.train("--threads", 2, out=self.path("two"))
        self.assertEqual(self.weights(self.run_dir, 20), self.weights(self.path("two"), 20))

    def test_seeds_do(self):
        self.train("--steps", 1)
        self.train("--steps", 1, "--seed", 1, out=self.path("other"))
        self.assertNotEqual(self.weights(self.run_dir, 1), self.weights(self.path("other"), 1))

    def test_kill_and_resume_gives_the_same_bits(self):
        whole = self.path("whole")
        self.train(out=whole)
        process = subprocess.Popen([MOIRE, "train", self.fake(), "--data", self.text, "--out", self.run_dir,
                                    "--checkpoint-every", "2"], stdout=subprocess.DEVNULL,
                                   env={**self.env, "MOIRE_FAKE_SLEEP_MS": "30"})
        while 10 not in self.steps():
            self.assertIsNone(process.poll())
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.assertLess(self.steps()[-1], 20)
        self.ok("train", "--resume", "--out", self.run_dir)
        self.assertEqual(self.weights(self.run_dir, 20), self.weights(whole, 20))
        self.assertEqual([line["step"] for line in self.metrics()], list(range(1, 21)))
        self.assertEqual([line["loss"] for line in self.metrics()], [line["loss"] for line in self.metrics(whole)])

    def test_kills_at_any_moment_leave_a_usable_run(self):
        whole = self.path("whole")
        self.train("--checkpoint-every", 1, out=whole)
        resume = []
        for attempt in range(40):
            process = subprocess.Popen([MOIRE, "train", self.fake(), "--data", self.text, "--out", self.run_dir,
                                        "--checkpoint-every", "1", *resume], stdout=subprocess.DEVNULL,
                                       stderr=subprocess.PIPE, env={**self.env, "MOIRE_FAKE_SLEEP_MS": "3"})
            try:
                self.assertEqual(process.wait(timeout=0.03 + 0.013 * attempt), 0, process.stderr.read())
                break
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            finally:
                process.stderr.close()
            if self.steps():
                resume = ["--resume"]
            else:
                shutil.rmtree(self.run_dir, ignore_errors=True)
        else:
            self.ok("train", "--resume", "--out", self.run_dir)
        self.assertEqual(self.weights(self.run_dir, 20), self.weights(whole, 20))
        self.assertEqual([line["step"] for line in self.metrics()], list(range(1, 21)))
        self.assertEqual(glob.glob(self.run_dir + "/checkpoints/.writing*"), [])

    def test_a_signal_leaves_a_checkpoint(self):
        process = subprocess.Popen([MOIRE, "train", self.fake(), "--data", self.text, "--out", self.run_dir],
                                   stdout=subprocess.PIPE, env={**self.env, "MOIRE_FAKE_SLEEP_MS": "50"})
        while not os.path.exists(self.run_dir + "/metrics.jsonl") or len(self.metrics()) < 2:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        output = process.communicate()[0].decode()
        self.assertEqual(process.returncode, 130)
        self.assertIn("go on with --resume", output)
        self.assertEqual(self.steps()[-1], self.metrics()[-1]["step"])

    def test_random_numbers_are_those_that_the_manual_promises(self):
        self.train("--steps", 0, "--seed", 11)
        self.assertEqual(self.steps(), [0])
        data = self.weights(self.run_dir, 0)
        length = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8:8 + length])
        for path, value in (("bigram.weight", lambda e: moire_random.normal(11, "bigram.weight", e, 0.02)),
                            ("first.weight", lambda e: moire_random.normal(11, "first.weight", e, 0.02, 0.03)),
                            ("layers.1.bias", lambda e: moire_random.uniform(11, "layers.1.bias", e, -0.01, 0.01))):
            begin = 8 + length + header[path]["data_offsets"][0]
            for element in range(100):
                stored = struct.unpack_from("<f", data, begin + 4 * element)[0]
                self.assertAlmostEqual(stored, value(element), delta=1e-8)
        # The share of each residue modulo 4 among a batch's tokens is what the fake model reports as its load.
        self.train("--steps", 3, "--seed", 11, out=self.path("steps"))
        train_tokens = int(len(TEXT) * 0.9)
        for step, line in enumerate(self.metrics(self.path("steps"))):
            load = [0] * 4
            for start in moire_random.window_starts(11, step, 0, 4, train_tokens, 8):
                for character in TEXT[start:start + 8]:
                    load[ord(character) % 4] += 1 / 32
            self.assertEqual(line["layers.0.moe.load"], load)

    def test_a_longer_run_is_said_to_be_another(self):
        self.train("--steps", 4)
        output = self.ok("train", "--resume", "--out", self.run_dir, "--steps", 8)
        self.assertIn("note: the run began with 4 steps; its schedule now has 8", output)
        self.assertEqual([line["step"] for line in self.metrics()], list(range(1, 9)))

    def test_keep(self):
        self.train("--checkpoint-every", 4, "--keep", 2)
        self.assertEqual(self.steps(), [16, 20])

    def test_a_full_disk_leaves_the_last_checkpoint(self):
        self.train("--steps", 10, "--checkpoint-every", 5, out=self.path("small"))
        shutil.rmtree(self.path("small") + "/checkpoints/step-00000010")
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (600000, 600000))  # below optimizer.safetensors
        self.fails("optimizer.safetensors`: File too large", "train", "--resume", "--out", self.path("small"),
                   before=limit)
        self.assertEqual(self.steps(self.path("small")), [5])
        self.assertEqual(glob.glob(self.path("small") + "/checkpoints/.writing*"), [])
        self.ok("train", "--resume", "--out", self.path("small"))
        self.assertEqual(self.steps(self.path("small")), [5, 10])

    @unittest.skipUnless(os.geteuid() == 0, "needs root to mount a small disk")
    def test_a_disk_that_is_really_full(self):
        disk = self.path("disk")
        os.mkdir(disk)
        # In a mount namespace of its own: nothing to unmount when the test is interrupted.
        script = (f"mount -t tmpfs -o size=6m none {disk} || exit 77; "
                  f"{MOIRE} train {self.fake()} --data {self.text} --out {disk}/run --checkpoint-every 1; code=$?; "
                  f"{MOIRE} eval {disk}/run --data {self.text} || exit 1; exit $((code + 10))")
        done = subprocess.run(["unshare", "-m", "sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=self.env)
        if done.returncode == 77 or b"unshare" in done.stderr:
            self.skipTest("cannot mount here")
        self.assertEqual(done.returncode, 11, done.stderr)
        self.assertIn(b"No space left on device", done.stderr)


class Refusals(Cli):
    def refused(self, message, *arguments, **options):
        self.fails(message, "train", *arguments, "--out", self.run_dir, **options)
        self.assertFalse(os.path.exists(self.run_dir))

    def test_data(self):
        fake = self.fake()
        self.refused("no data", fake)
        self.refused("cannot open", fake, "--data", self.path("none"))
        self.refused("is empty", fake, "--data", self.write("e.txt", b""))
        self.refused("to train on, a batch of 4 x 8 takes 33", fake, "--data", self.write("s.txt", b"x" * 36))
        self.refused("not a whole number of u16", fake, "--data", self.write("o.bin", b"abc"), "--tokenizer", "u16")
        self.refused("say --tokenizer u16, u32", fake, "--data", self.write("o.bin", b"abcd"))
        self.refused("token 1 is 513, but the model's vocab is 256", fake, "--data",
                     self.write("v.bin", b"\1\0\1\2" * 99), "--tokenizer", "u16")
        self.refused("is truncated", fake, "--data", self.write("t.npy", b"\x93NUMPY\1\0v\0{'descr'"))
        self.refused("unknown tokenizer", fake, "--data", self.text, "--tokenizer", "words")

    def test_packages(self):
        data = ("--data", self.text)
        self.refused("no package", self.path("none.so"), *data)
        self.refused("has ABI version 999, this runtime has 3", self.fake("fake-other-abi"), *data)
        self.refused("that this machine lacks: no-such-feature", self.fake("fake-features"), *data)
        self.refused("undefined symbol: moire_no_such_kernel", self.fake("fake-missing-symbol"), *data)
        self.refused("unknown key `acumulate`", self.fake("fake-unknown-key"), *data)
        self.refused("cannot load package", self.write("text.so", b"hello"), *data)
        self.refused("computes in f32, --precision asks for bf16", self.fake(), *data, "--precision", "bf16")
        self.refused("--preset and -D go with a spec", self.fake(), *data, "-D", "width=3")
        renamed = self.path("renamed.package")
        shutil.copy(self.fake(), renamed)
        self.refused("--preset and -D go with a spec", renamed, *data, "-D", "width=3")

    def test_options(self):
        data = ("--data", self.text)
        self.refused("--stepps", self.fake(), *data, "--stepps", 3, lines=3)
        self.refused("--steps", self.fake(), *data, "--steps", "many", lines=3)
        self.refused("--steps", self.fake(), *data, "--steps", -1, lines=3)
        self.refused("--threads", self.fake(), *data, "--threads", 0, lines=3)
        self.refused("say what to train", *data)
        self.refused("nothing to resume", self.fake(), *data, "--resume")
        self.fails("--out is required", "train", self.fake(), *data, lines=3)
        self.fails("subcommand", lines=3)
        self.ok("--help")

    def test_folders(self):
        self.train("--steps", 4)
        data = ("--data", self.text, "--out", self.run_dir)
        before = self.weights(self.run_dir, 4)
        self.fails("already holds a run", "train", self.fake(), *data)
        self.fails("of another spec (hash 5eed0001, the package has 5eed0064): `bigram.weight` is [256, 256]", "train",
                   self.fake("fake-small"), *data, "--resume", "--steps", 8)
        self.fails("of another spec", "train", self.fake("fake-other-hash"), *data, "--resume", "--steps", 8)
        state = f"{self.run_dir}/checkpoints/step-00000004/state.json"
        with open(state) as file:
            text = file.read()
        with open(state, "w") as file:
            file.write(text.replace('"format": 1', '"format": 2'))
        for command in (("train", "--resume", "--out"), ("generate", "--prompt", "x", "--tokens", 3)):
            self.fails("has format version 2", *command, self.run_dir)
        with open(state, "w") as file:
            file.write(text)
        with open(f"{self.run_dir}/checkpoints/step-00000004/model.safetensors", "r+b") as file:
            file.truncate(1000)
        self.fails("model.safetensors` is truncated", "train", *data, "--resume")
        self.fails("model.safetensors` is truncated", "eval", self.run_dir, "--data", self.text, "--checkpoint", 4)
        with open(f"{self.run_dir}/checkpoints/step-00000004/model.safetensors", "wb") as file:
            file.write(before)
        self.ok("train", *data, "--resume", "--steps", 8)

    def test_two_runs_at_once(self):
        process = subprocess.Popen([MOIRE, "train", self.fake(), "--data", self.text, "--out", self.run_dir],
                                   stdout=subprocess.DEVNULL, env={**self.env, "MOIRE_FAKE_SLEEP_MS": "200"})
        while not os.path.exists(self.run_dir + "/metrics.jsonl"):
            time.sleep(0.01)
        self.fails("is in use", "train", "--resume", "--out", self.run_dir)
        process.terminate()
        self.assertEqual(process.wait(), 143)


class Use(Cli):
    def test_eval(self):
        self.train()
        line = json.loads(self.ok("eval", self.run_dir, "--data", self.text))
        self.assertEqual(line["tokens"], len(TEXT) - 1)
        self.assertAlmostEqual(line["bits_per_byte"], line["loss"] / 0.6931471805599453, places=9)
        self.assertEqual(line["step"], 20)
        first = json.loads(self.ok("eval", self.run_dir, "--data", self.text, "--checkpoint", 5))
        self.assertGreater(first["loss"], line["loss"])
        held = json.loads(self.ok("eval", self.run_dir, "--data", self.text, "--holdout", 0.1))
        self.assertEqual(held["tokens"], len(TEXT) // 10 - 1)
        some = json.loads(self.ok("eval", self.run_dir, "--data", self.text, "--batches", 2))
        self.assertTrue(0 < some["tokens"] < line["tokens"] and some["bits_per_byte"] is None, some)
        # The run's own evaluation saw all of its held-out part, which is small.
        self.assertEqual(held["loss"], self.metrics()[-1]["eval_loss"])
        self.fails("has no checkpoint of step 7; it has 5, 10, 15, 20", "eval", self.run_dir, "--data", self.text,
                   "--checkpoint", 7)
        self.fails("holds neither a run nor a checkpoint", "eval", self.path("none"), "--data", self.text)
        self.fails("nothing to predict", "eval", self.run_dir, "--data", self.write("one.txt", b"x"))

    def test_numbers(self):
        numbers = self.write("n.bin", b"".join(bytes([ord(c), 0]) for c in TEXT))
        self.ok("train", self.fake(), "--data", numbers, "--tokenizer", "u16", "--out", self.run_dir)
        text = self.path("text-run")
        self.train(out=text)
        self.assertEqual(self.weights(self.run_dir, 20), self.weights(text, 20))  # the same tokens, stored otherwise
        line = json.loads(self.ok("eval", self.run_dir, "--data", numbers, "--tokenizer", "u16"))
        self.assertIsNone(line["bits_per_byte"])
        self.fails("the data are text", "eval", self.run_dir, "--data", self.text)
        self.fails("does not fit", "eval", text, "--data", numbers, "--tokenizer", "u16")
        output = self.ok("generate", self.run_dir, "--prompt", "116 104", "--tokens", 3, "--temperature", 0)
        self.assertEqual(len(output.split()), 5)
        self.fails("give the prompt as numbers", "generate", self.run_dir, "--prompt", "hello", "--tokens", 3)

    @unittest.skipUnless(shutil.which("spm_train"), "needs spm_train")
    def test_pieces(self):
        lines = self.write("lines.txt", TEXT.replace(". ", ".\n").encode())
        subprocess.run(["spm_train", "--input=" + lines, "--model_prefix=" + self.path("m"), "--vocab_size=40",
                        "--hard_vocab_limit=false"], check=True, stderr=subprocess.DEVNULL)
        self.train("--tokenizer", self.path("m.model"))
        os.remove(self.path("m.model"))  # the run keeps its own
        line = json.loads(self.ok("eval", self.run_dir, "--data", self.text))
        self.assertLess(line["tokens"], len(TEXT))
        bits = line["loss"] * line["tokens"] / 0.6931471805599453
        self.assertAlmostEqual(line["bits_per_byte"], bits / len(TEXT), delta=0.001 * line["bits_per_byte"])
        output = self.ok("generate", self.run_dir, "--prompt", "the quick", "--tokens", 8, "--temperature", 0)
        self.assertTrue(output.startswith("the quick"), output)
        self.ok("train", "--resume", "--steps", 24, "--out", self.run_dir)

    def test_generate(self):
        self.train("--steps", 60)
        greedy = ("generate", self.run_dir, "--prompt", "the quick", "--tokens", 10, "--temperature", 0)
        output = self.ok(*greedy)
        self.assertTrue(output.startswith("the quick"))
        self.assertEqual(len(output), 9 + 10 + 1)
        self.assertEqual(output, self.ok(*greedy, "--seed", 5))
        sampled = ("generate", self.run_dir, "--prompt", "the", "--tokens", 15, "--top-k", 5, "--top-p", 0.9)
        self.assertEqual(self.ok(*sampled, "--seed", 1), self.ok(*sampled, "--seed", 1))
        self.assertNotEqual(self.ok(*sampled, "--seed", 1), self.ok(*sampled, "--seed", 2))
        full = self.moire("generate", self.run_dir, "--prompt", "the", "--tokens", 100)
        self.assertEqual(full.returncode, 0)
        self.assertIn(b"stopped after 22 of 100 tokens: the model's context of 24 positions is full", full.stderr)
        self.assertEqual(self.fails("the prompt has 30 tokens", "generate", self.run_dir, "--prompt", "x" * 30,
                                    "--tokens", 1).stdout, b"")
        self.fails("the prompt is empty", "generate", self.run_dir, "--prompt", "", "--tokens", 1)

    def test_inspect(self):
        report = json.loads(self.ok("inspect", self.fake(), "--json"))
        self.assertEqual(report["model"], "fake")
        self.assertEqual([p["name"] for p in report["parameters"]], ["bigram.weight", "first.weight", "layers.#.bias"])
        self.assertEqual(report["parameters"][2]["paths"], ["layers.0.bias", "layers.1.bias"])
        self.assertEqual(report["bytes"]["arena"], 2048)
        self.assertIn("exp", report["symbols"])
        self.assertNotIn("moire_no_such_kernel", report["symbols"])
        text = self.ok("inspect", self.fake())
        self.assertIn("spec_hash: 5eed0001", text)
        self.assertIn("first.weight  role=\"embedding\"", text)
        self.train("--steps", 4)
        checkpoint = self.run_dir + "/checkpoints/step-00000004"
        report = json.loads(self.ok("inspect", checkpoint, "--json"))
        self.assertEqual(report["state"]["step"], 4)
        self.assertEqual(len(report["model"]["tensors"]), 4)
        self.assertEqual(json.loads(self.ok("inspect", self.run_dir, "--json")), report)
        self.assertIn("bigram.weight", self.ok("inspect", checkpoint + "/model.safetensors"))
        self.fails("is neither a package", "inspect", self.text)
        self.fails("has no complete checkpoint", "inspect", self.dir)


class Specs(Cli):
    def setUp(self):
        super().setUp()
        compiler = self.write("moirec", COMPILER.format(fake=self.fake()).encode())
        os.chmod(compiler, 0o755)
        self.env["MOIREC"] = compiler
        self.spec = self.write("m.moire", b"model m() {}\n")

    def compiled(self):
        if not os.path.exists(self.path("compiled")):
            return []
        with open(self.path("compiled")) as file:
            return file.read().splitlines()

    def test_packages_are_cached_by_content(self):
        train = lambda out, *more: self.ok("train", self.spec, "--data", self.text, "--steps", 1, "--out",
                                           self.path(out), *more)
        train("a")
        train("b", "--seed", 4)
        self.assertEqual(len(self.compiled()), 1)
        train("c", "-D", "width=64", "-D", "depth=2", "--preset", "small", "--precision", "f32")
        self.assertEqual(len(self.compiled()), 2)
        self.assertIn("--preset small -D width=64 -D depth=2 --precision=f32 --emit=package", self.compiled()[1])
        self.write("m.moire", b"model m() { }\n")
        train("d")
        self.assertEqual(len(self.compiled()), 3)
        os.utime(self.env["MOIREC"], (1, 1))  # another compiler
        train("e")
        self.assertEqual(len(self.compiled()), 4)
        self.assertEqual(len(glob.glob(self.path("cache/moire/*.so"))), 4)

    def test_errors(self):
        self.write("broken.moire", b"?")
        done = self.fails("cannot compile", "train", self.path("broken.moire"), "--data", self.text, "--out",
                          self.run_dir)
        self.assertIn(b"expected a model", done.stderr)
        self.fails("no spec", "train", self.path("none.moire"), "--data", self.text, "--out", self.run_dir)
        self.fails("expected NAME=VALUE", "train", self.spec, "-D", "width", "--data", self.text, "--out", self.run_dir,
                   lines=3)
        self.fails("which cannot be run", "cost", self.spec, env={"MOIREC": self.path("none")})
        self.assertFalse(os.path.exists(self.run_dir))

    def test_cost(self):
        self.assertEqual(json.loads(self.ok("cost", self.spec, "--json")), {"parameters": {"total": 1234567}})
        self.assertIn("1,234,567", self.ok("cost", self.spec))
        self.assertEqual(json.loads(self.ok("cost", self.fake(), "--json"))["parameters"]["active"], 131584)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--moire", required=True)
    parser.add_argument("--fakes", required=True)
    known, rest = parser.parse_known_args()
    MOIRE, FAKES = os.path.abspath(known.moire), os.path.abspath(known.fakes)
    unittest.main(argv=[sys.argv[0]] + rest)
