#!/usr/bin/env python3
"""Training steps of our networks written in PyTorch, for tests/bench/pytorch.sh: forward, backward, norm and clipping of the
gradient, AdamW and the average of the parameters, on one thread, inputs ready. Prints a line for each model: name and the
milliseconds of a step (the median of rounds of about half a second).

    pytorch_step.py [--compile] flow_cfm:256 unified_cfm:64 mamba_block:16
"""
import math
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

torch.set_num_threads(1)
torch.manual_seed(1)


class FlowField(nn.Module):
    """flow_cfm at its default options: 20 features, 64 of time, width 256, four residual blocks."""

    class Block(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.norm, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, width), nn.Linear(width, width)

        def forward(self, h):
            return h + self.down(F.silu(self.up(self.norm(h))))

    def __init__(self, columns=20, features=64, width=256, blocks=4):
        super().__init__()
        self.first, self.hidden = nn.Linear(columns + features, width), nn.Linear(width, width)
        self.blocks = nn.ModuleList(self.Block(width) for _ in range(blocks))
        self.out = nn.Linear(width, columns)

    def inputs(self, rows):
        return torch.randn(rows, 20), torch.randn(rows, 64), torch.randn(rows, 20)

    def loss(self, x, t, target):
        h = F.silu(self.hidden(F.silu(self.first(torch.cat([x, t], 1)))))
        for block in self.blocks:
            h = block(h)
        return F.mse_loss(self.out(h), target)


class UnifiedField(nn.Module):
    """unified_cfm: a flow token and 32 packet tokens, adaptive layer norm, 4 blocks of 4 heads of 32, two passes a step (flow matching
    and masked prediction)."""

    class Block(nn.Module):
        def __init__(self, width, heads, inner):
            super().__init__()
            self.heads = heads
            self.condition = nn.Linear(width, 6 * width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)

        def forward(self, h, c, mask):
            B, T, D = h.shape
            shift1, scale1, gate1, shift2, scale2, gate2 = self.condition(F.silu(c))[:, None].chunk(6, 2)
            x = F.layer_norm(h, (D,)) * (1 + scale1) + shift1
            q, k, v = self.qkv(x).view(B, T, 3, self.heads, D // self.heads).permute(2, 0, 3, 1, 4)
            a = F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).reshape(B, T, D)
            h = h + gate1 * self.out(a)
            x = F.layer_norm(h, (D,)) * (1 + scale2) + shift2
            return h + gate2 * self.down(F.gelu(self.up(x), approximate="tanh"))

    def __init__(self, tokens=32, width=128, heads=4, inner=512, blocks=4):
        super().__init__()
        self.tokens, self.width = tokens, width
        self.flow, self.packet = nn.Linear(20, width), nn.Linear(9, width)
        self.kind = nn.Parameter(torch.randn(2, width) * 0.02)
        self.position = nn.Parameter(torch.randn(tokens + 1, width) * 0.02)
        self.hidden_token = nn.Parameter(torch.randn(width) * 0.02)
        self.time1, self.time2 = nn.Linear(128, width), nn.Linear(width, width)
        self.blocks = nn.ModuleList(self.Block(width, heads, inner) for _ in range(blocks))
        self.final = nn.Linear(width, 2 * width)
        self.heads = nn.ModuleList([nn.Linear(width, 20), nn.Linear(width, 9), nn.Linear(width, 20), nn.Linear(width, 9)])

    def inputs(self, rows):
        T = self.tokens
        length = torch.randint(1, T + 1, (rows,))
        valid = torch.cat([torch.ones(rows, 1, dtype=torch.bool), torch.arange(T) < length[:, None]], 1)
        return (torch.randn(2, rows, 20), torch.randn(2, rows, T, 9), torch.randn(2, rows, 128), torch.randn(rows, 20),
                torch.randn(rows, T, 9), valid, torch.rand(rows, T + 1) < 0.3)

    def run(self, flow, packets, time_features, valid, hidden):
        h = torch.cat([self.flow(flow)[:, None] + self.kind[0], self.packet(packets) + self.kind[1]], 1)
        if hidden is not None:
            h = torch.where(hidden[..., None], self.hidden_token, h)
        h = h + self.position
        c = self.time2(F.silu(self.time1(time_features)))
        mask = valid[:, None, None, :]
        for block in self.blocks:
            h = block(h, c, mask)
        shift, scale = self.final(F.silu(c))[:, None].chunk(2, 2)
        return F.layer_norm(h, (self.width,)) * (1 + scale) + shift

    def loss(self, flow, packets, t, flow_target, packet_target, valid, hidden):
        h = self.run(flow[0], packets[0], t[0], valid, None)
        weight = valid[:, 1:, None].float()
        loss = 0.5 * F.mse_loss(self.heads[0](h[:, 0]), flow_target)
        loss = loss + 0.5 * (weight * (self.heads[1](h[:, 1:]) - packet_target) ** 2).sum() / (9 * weight.sum())
        h = self.run(flow[1], packets[1], t[1], valid, hidden)
        covered = hidden & valid
        first, rest = covered[:, :1].float(), covered[:, 1:, None].float()
        error = (first * (self.heads[2](h[:, 0]) - flow[1]) ** 2).sum() / 20
        error = error + (rest * (self.heads[3](h[:, 1:]) - packets[1]) ** 2).sum() / 9
        return loss + 0.3 * error / covered.sum().clamp(min=1)


class MambaBlock(nn.Module):
    """One block of NetMamba's encoder: width 256, inner 512, 16 states, rank 16, 82 tokens; the scan is the loop over time that PyTorch
    has without kernels of its own (state-spaces/mamba, selective_scan_ref)."""

    def __init__(self, width=256, states=16, tokens=82):
        super().__init__()
        inner, rank = 2 * width, math.ceil(width / 16)
        self.width, self.inner, self.states, self.rank, self.tokens = width, inner, states, rank, tokens
        self.norm = nn.Parameter(torch.ones(width))
        self.into, self.out = nn.Linear(width, 2 * inner, bias=False), nn.Linear(inner, width, bias=False)
        self.conv = nn.Conv1d(inner, inner, 4, groups=inner, padding=3)
        self.x_proj = nn.Linear(inner, rank + 2 * states, bias=False)
        self.dt_proj = nn.Linear(rank, inner)
        self.A_log = nn.Parameter(torch.log(torch.arange(1, states + 1).float()).repeat(inner, 1))
        self.D = nn.Parameter(torch.ones(inner))

    def inputs(self, rows):
        return torch.randn(rows, self.tokens, self.width), torch.randn(rows, self.tokens, self.width)

    def loss(self, x, target):
        h = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5) * self.norm
        u, z = self.into(h).chunk(2, -1)
        u = F.silu(self.conv(u.transpose(1, 2))[..., :self.tokens].transpose(1, 2))
        dt, B, C = self.x_proj(u).split([self.rank, self.states, self.states], -1)
        delta = F.softplus(self.dt_proj(dt))
        decay = torch.exp(delta[..., None] * -torch.exp(self.A_log))
        feed = (delta * u)[..., None] * B[:, :, None, :]
        state, outputs = torch.zeros_like(feed[:, 0]), []
        for t in range(self.tokens):
            state = decay[:, t] * state + feed[:, t]
            outputs.append((state * C[:, t, None, :]).sum(-1))
        y = (torch.stack(outputs, 1) + u * self.D) * F.silu(z)
        return F.mse_loss(x + self.out(y), target)


def milliseconds(model, rows, compiled):
    inputs = model.inputs(rows)
    average = [p.detach().clone() for p in model.parameters()]
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.99), weight_decay=1e-4, foreach=True)
    loss_of = torch.compile(model.loss) if compiled else model.loss

    def step():
        optimiser.zero_grad(set_to_none=True)
        loss_of(*inputs).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
        optimiser.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, list(model.parameters()), 0.001)

    step(), step()
    times = []
    for _ in range(7):
        begin, steps = time.perf_counter(), 0
        while time.perf_counter() - begin < 0.4 or steps == 0:
            step()
            steps += 1
        times.append((time.perf_counter() - begin) / steps * 1e3)
    return statistics.median(times)


def main():
    models = {"flow_cfm": FlowField, "unified_cfm": UnifiedField, "mamba_block": MambaBlock}
    arguments = sys.argv[1:]
    compiled = "--compile" in arguments
    print("PyTorch", torch.__version__)
    for argument in arguments:
        if argument == "--compile":
            continue
        name, rows = argument.split(":")
        model = models[name]()
        count = sum(p.numel() for p in model.parameters())
        print(f"{name} {rows} {count} {milliseconds(model, int(rows), compiled):.4f}", flush=True)


main()
