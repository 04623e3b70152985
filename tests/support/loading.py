# SPDX-License-Identifier: MIT
"""Imitate what PyTorch's DataLoader does with a data set and its workers."""

import multiprocessing
import os


def work(dataset, tasks, results):
    """Run a worker: it gets batches of numbers and sends their samples."""
    while (task := tasks.get()) is not None:
        place, numbers = task
        if hasattr(dataset, "__getitems__"):
            samples = list(dataset.__getitems__(numbers))
        else:
            samples = [dataset[i] for i in numbers]
        results.put((place, os.getpid(), samples))


class Workers:
    """Start workers in one of three ways; they run until the end of the block."""

    def __init__(self, dataset, method, count):
        self.context = multiprocessing.get_context(method)
        self.tasks, self.results = self.context.Queue(), self.context.Queue()
        arguments = dataset, self.tasks, self.results
        self.processes = [
            self.context.Process(target=work, args=arguments, daemon=True) for _ in range(count)
        ]

    def epoch(self, batches):
        """Return the samples of each batch of numbers, and the processes that have read them."""
        for task in enumerate(batches):
            self.tasks.put(task)
        found = [self.results.get(timeout=30) for _ in batches]
        return [samples for _, _, samples in sorted(found, key=lambda each: each[0])], {
            pid for _, pid, _ in found
        }

    def __enter__(self):
        for process in self.processes:
            process.start()
        return self

    def __exit__(self, *exc):
        for _ in self.processes:
            self.tasks.put(None)
        for process in self.processes:
            process.join(30)
            assert process.exitcode == 0
