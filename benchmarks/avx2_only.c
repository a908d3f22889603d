/*
 * Answers CPUID as a processor with AVX2 and nothing wider does: no AVX-512, VNNI, GFNI, VAES or AMX.
 *
 * Preloaded into a process whose libraries ask by an illegal instruction (ud2) in place of cpuid, which is as long; see
 * avx2_only.py.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <stdlib.h>
#include <ucontext.h>

static void answer(int number, siginfo_t *info, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned char *at = (const unsigned char *)registers[REG_RIP];
    unsigned eax = registers[REG_RAX], ebx, ecx = registers[REG_RCX], edx;
    const unsigned leaf = eax, subleaf = ecx;
    (void)number;
    (void)info;
    if (at[0] != 0x0f || at[1] != 0x0b) abort();
    __cpuid_count(leaf, subleaf, eax, ebx, ecx, edx);
    if (leaf == 7 && subleaf == 0) {
        /* AVX-512 F, DQ, IFMA, PF, ER, CD, BW, VL */
        ebx &= ~(1u << 16 | 1u << 17 | 1u << 21 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 30 | 1u << 31);
        /* AVX-512 VBMI, VBMI2, GFNI, VAES, VPCLMULQDQ, AVX-512 VNNI, BITALG, VPOPCNTDQ */
        ecx &= ~(1u << 1 | 1u << 6 | 1u << 8 | 1u << 9 | 1u << 10 | 1u << 11 | 1u << 12 | 1u << 14);
        /* AVX-512 4VNNIW, 4FMAPS, VP2INTERSECT, AMX BF16, AVX-512 FP16, AMX TILE, AMX INT8 */
        edx &= ~(1u << 2 | 1u << 3 | 1u << 8 | 1u << 22 | 1u << 23 | 1u << 24 | 1u << 25);
    }
    /* AVX VNNI and what came after it */
    if (leaf == 7 && subleaf == 1) eax = ebx = ecx = edx = 0;
    registers[REG_RAX] = eax;
    registers[REG_RBX] = ebx;
    registers[REG_RCX] = ecx;
    registers[REG_RDX] = edx;
    registers[REG_RIP] += 2;
}

__attribute__((constructor)) static void listen_for_questions(void) {
    struct sigaction action = {.sa_sigaction = answer, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGILL, &action, 0);
}
