"""Measures the gradients of single batches and of their mean."""

import torch


def measure(task):
    """The squared norm of the gradient of each batch and of their mean, and the number of examples in each."""
    member = task.member()
    built, batches = member.built, member.batches[: task.settings.batches]
    gradients = []
    for examples in batches:
        task.watchdog.doing(task.level, "one gradient")
        built.model.zero_grad(set_to_none=True)
        built.backward(built.model, built.forward(built.model, built.batch(examples)))
        parts = [p.grad.flatten() for p in built.model.parameters() if p.grad is not None]
        gradients.append(torch.cat(parts).double())
    whole = torch.stack(gradients).mean(0)
    return {
        "elements": whole.numel(),
        "batch_size": len(batches[0]),
        "batches": len(batches),
        "small": [float(g @ g) for g in gradients],
        "large": float(whole @ whole),
    }
