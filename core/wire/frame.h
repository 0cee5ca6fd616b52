/* frame.h: what is this datagram, and where does one frame end on a stream.
 *
 * RFC 7983 by the first byte: 0..3 STUN, with its cookie; without it a Binding request of RFC 3489 (section 11.1) that fills its datagram, and nothing else;
 * 20..63 DTLS (TLS records start with 20..24 too), 64..79 and up to 127 ChannelData. On a stream STUN is as long as its
 * header says plus 20, ChannelData its length plus 4 rounded up to 4 (RFC 8656 section 12.5).
 */
#ifndef RELAY_WIRE_FRAME_H
#define RELAY_WIRE_FRAME_H

#include "base/bytes.h"

#define FRAME_MAX (20 + 65532) /* the longest STUN message; ChannelData is at most 4 + 65535 + 1 */

enum frame_kind { FRAME_NONE, FRAME_STUN, FRAME_CLASSIC, FRAME_CHANNEL, FRAME_DTLS };

/* frame_kind_of: by the first byte (and STUN's cookie when 8 bytes are there); FRAME_NONE for anything else. */
enum frame_kind frame_kind_of(struct view in);

/* frame_cut: one frame off the front of a stream's bytes: 0 and *frame (unpadded) and *used (padded), ERR_PARTIAL: read more, ERR_BAD: this is no such stream. */
int frame_cut(struct view in, struct view *frame, size_t *used);

#endif
