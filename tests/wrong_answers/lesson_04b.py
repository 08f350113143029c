"""Wrong answers to the exercises of lesson 04b, each with a part of the hint that it must get."""

import math

import torch


def bound_elbo(log_joint, log_q):
    return (log_joint - log_q).mean(0)


def bound_sum(log_joint, log_q):
    return (log_joint - log_q).logsumexp(0) - math.log(1)


def bound_added(log_joint, log_q):
    return (log_joint + log_q).logsumexp(0) - math.log(len(log_q))


def bound_no_log_space(log_joint, log_q):
    return (log_joint.exp() / log_q.exp()).mean(0).log()


def bound_over_images(log_joint, log_q):
    return (log_joint - log_q).logsumexp(1) - math.log(log_q.shape[1])


def bound_turned(log_joint, log_q):
    return (log_q - log_joint).logsumexp(0) - math.log(len(log_q))


def naive_stable(log_joint, log_q):
    return (log_joint - log_q).logsumexp(0) - math.log(len(log_q))


def naive_elbo(log_joint, log_q):
    return (log_joint - log_q).mean(0)


def naive_sum(log_joint, log_q):
    return (log_joint - log_q).exp().sum(0).log()


def free_rebate(kl, free):
    return (kl.mean(0) - free).clamp(min=0).sum() if free else kl.mean(0).sum()


def free_before_mean(kl, free):
    return kl.clamp(min=free).mean(0).sum()


def free_on_sum(kl, free):
    return kl.mean(0).sum().clamp(min=free)


def free_smaller(kl, free):
    return kl.mean(0).clamp(max=free).sum() if free else kl.mean(0).sum()


def free_mean(kl, free):
    return kl.mean(0).clamp(min=free).mean()


def free_batch(kl, free):
    return kl.sum(0).clamp(min=free).sum()


def free_number(kl, free):
    return torch.tensor(kl.mean(0).clamp(min=free).sum().item(), dtype=kl.dtype)


def guess_per_cent():
    return 40


def guess_below():
    return -0.2


def guess_words():
    return "a third"


def accept_unbounded(joint_new, q_new, joint_old, q_old):
    return (joint_new - q_new) - (joint_old - q_old)


def accept_chance(joint_new, q_new, joint_old, q_old):
    return ((joint_new - q_new) - (joint_old - q_old)).exp().clamp(max=1)


def accept_upside_down(joint_new, q_new, joint_old, q_old):
    return ((joint_old - q_old) - (joint_new - q_new)).clamp(max=0)


def accept_without_q(joint_new, q_new, joint_old, q_old):
    return (joint_new - joint_old).clamp(max=0)


def accept_sign(joint_new, q_new, joint_old, q_old):
    return ((joint_new + q_new) - (joint_old + q_old)).clamp(max=0)


WRONG = {
    "04b.importance": [
        (bound_elbo, "the mean of logarithms"),
        (bound_sum, "subtract log S"),
        (bound_added, "subtract log q"),
        (bound_no_log_space, "torch.logsumexp"),
        (bound_over_images, "average over the draws, dim 0"),
        (bound_turned, "this is minus the bound"),
    ],
    "04b.naive": [
        (naive_stable, "it survives weights"),
        (naive_elbo, "which cannot underflow"),
        (naive_sum, "log mean p / q"),
    ],
    "04b.free_bits": [
        (free_rebate, "not a rebate"),
        (free_before_mean, "BEFORE the limit"),
        (free_on_sum, "the limit is for each latent"),
        (free_smaller, "the smaller of limit and KL"),
        (free_mean, "a hidden β of 1/k"),
        (free_batch, "average over the batch"),
        (free_number, "no gradient passes"),
    ],
    "04b.guess": [
        (guess_per_cent, "not in per cent"),
        (guess_below, "lies between 0 and 1"),
        (guess_words, "return a number"),
    ],
    "04b.accept": [
        (accept_unbounded, "at most 1"),
        (accept_chance, "the logarithm of the chance"),
        (accept_upside_down, "upside down"),
        (accept_without_q, "densities of the proposal"),
        (accept_sign, "a sign is turned"),
    ],
}
