"""Right answers to the exercises of lesson 04b, each in another style than the lesson's own."""

import math

import numpy as np
import torch
from torch.nn import functional as F


def bound_by_largest_weight(log_joint, log_q):
    w = log_joint - log_q
    best = w.amax(0, keepdim=True)
    return torch.log(torch.mean(torch.exp(w - best), 0)) + best[0]


def bound_by_logaddexp(log_joint, log_q):
    total = log_joint[0] - log_q[0]
    for joint, q in zip(log_joint[1:], log_q[1:]):
        total = torch.logaddexp(total, joint - q)
    return total - np.log(log_joint.shape[0])


def bound_with_numpy_in_double(log_joint, log_q):
    w = log_joint.numpy().astype(np.float64) - log_q.numpy().astype(np.float64)
    return torch.from_numpy(np.logaddexp.reduce(w, axis=0) - np.log(len(w)))


def bound_by_log_softmax(log_joint, log_q):
    w = log_joint - log_q
    return (w - F.log_softmax(w, 0))[0] - math.log(w.size(0))


def naive_as_on_paper(log_joint, log_q):
    return torch.log(torch.mean(torch.exp(log_joint) / torch.exp(log_q), dim=0))


def naive_by_a_loop(log_joint, log_q):
    total = 0
    for joint, q in zip(log_joint, log_q):
        total = total + torch.exp(joint - q)
    return torch.log(total / len(log_joint))


def naive_by_einsum(log_joint, log_q):
    return (torch.einsum("sb->b", (log_joint - log_q).exp()) / len(log_q)).log()


def charge_by_maximum(kl, free):
    means = kl.sum(0) / len(kl)
    return torch.maximum(means, torch.full_like(means, free)).sum()


def charge_by_relu(kl, free):
    return (F.relu(kl.mean(0) - free) + free).sum()


def charge_by_a_loop(kl, free):
    total = torch.zeros((), dtype=kl.dtype, device=kl.device)
    for latent in kl.unbind(1):
        total = total + (latent.mean() if latent.mean() > free else free)
    return total


def charge_by_where(kl, free):
    means = torch.einsum("bk->k", kl) / kl.shape[0]
    return torch.where(means > free, means, float(free)).sum()


def share_of_numpy():
    return np.float32(0.25)


def share_of_one_kind():
    return np.int64(1)


def acceptance_by_minimum(joint_new, q_new, joint_old, q_old):
    log_ratio = joint_new + q_old - joint_old - q_new
    return torch.minimum(log_ratio, torch.zeros_like(log_ratio))


def acceptance_by_where(joint_new, q_new, joint_old, q_old):
    new, old = joint_new - q_new, joint_old - q_old
    return torch.where(new > old, 0.0, new - old)


def acceptance_by_relu(joint_new, q_new, joint_old, q_old):
    return -F.relu((joint_old - q_old) - (joint_new - q_new))


def acceptance_with_numpy(joint_new, q_new, joint_old, q_old):
    joint_new, q_new, joint_old, q_old = (
        part.numpy().astype(np.float64) for part in (joint_new, q_new, joint_old, q_old)
    )
    return torch.from_numpy(np.minimum(0, joint_new - q_new - joint_old + q_old))


OTHER = {
    "04b.importance": [
        bound_by_largest_weight,
        bound_by_logaddexp,
        bound_with_numpy_in_double,
        bound_by_log_softmax,
    ],
    "04b.naive": [naive_as_on_paper, naive_by_a_loop, naive_by_einsum],
    "04b.guess": [share_of_numpy, share_of_one_kind],
    "04b.free_bits": [charge_by_maximum, charge_by_relu, charge_by_a_loop, charge_by_where],
    "04b.accept": [
        acceptance_by_minimum,
        acceptance_by_where,
        acceptance_by_relu,
        acceptance_with_numpy,
    ],
}
