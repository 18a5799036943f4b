/* Coupling: which noise goes to which row of a group, for conditional flow matching (Tong et al. 2024).
 *
 * The cost of a pair is the squared distance over the elements that the row has; a row of fewer elements sees the beginning
 * of the noise only. ot: the permutation of least total cost, exactly. entropic: the plan of least cost plus
 * regularisation times its relative entropy (Sinkhorn's iterations on logarithms, Cuturi 2013, Schmitzer 2019), of which each
 * row then draws its noise: with regularisation 2 sigma^2 that of the Schroedinger bridge. Everything is a function of what is
 * given, the same on any machine.
 */
#ifndef WS_MODELS_CFM_COUPLING_H
#define WS_MODELS_CFM_COUPLING_H

#include <stdint.h>
#include "core/core.h"

typedef enum ws_cfm_coupling { WS_COUPLING_OT, WS_COUPLING_INDEPENDENT, WS_COUPLING_ENTROPIC } ws_cfm_coupling;
#define WS_CFM_COUPLINGS "ot|independent|entropic" /* in the order of the enum */

/* Scratch for groups of one size; one thread at a time. The caller fills noise and rows. */
typedef struct ws_pairing {
    int group;
    int64_t elements;
    bool uneven;    /* rows may have fewer elements than `elements` */
    float *noise;   /* [elements][group] */
    float *rows;    /* [group][elements] */
    int32_t *valid; /* [group] elements that a row has */
    float *cost;    /* [group rows][group noise]: half the squared distance, less what is the same for all pairings */
    float *squares; /* [group] */
    struct ws_assignment *assignment;
    float *of_row, *of_noise, *most; /* [group] entropic: potentials over the regularisation, and scratch */
} ws_pairing;
WS_MUST ws_err ws_pairing_create(ws_pairing **out, int group, int64_t elements, bool uneven);
void ws_pairing_destroy(ws_pairing **pairing);

/* noise_of[group]: for each row the noise it is paired with. */
void ws_pair_exactly(ws_pairing *pairing, int32_t *noise_of);
/* uniform[group]: one number in (0,1) for each row's draw. */
void ws_pair_entropically(ws_pairing *pairing, double regularisation, const float *uniform, int32_t *noise_of);

#endif
