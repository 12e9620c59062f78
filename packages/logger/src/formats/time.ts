const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** Writes wall time as ISO 8601 in UTC; makes the text of a second once, since many lines share it. */
export function isoTime(): (wallMs: number) => string {
  let second = Number.NaN
  let text = ''
  return (wallMs) => {
    const ms = Math.trunc(wallMs)
    const current = Math.floor(ms / 1000)
    if (current !== second) {
      text = new Date(current * 1000).toISOString().slice(0, -4)
      second = current
    }
    return `${text}${String(ms - current * 1000).padStart(3, '0')}Z`
  }
}

/** Writes the time of Apache's log formats, in UTC: `10/Oct/2000:13:55:36 +0000`; the text of a second once. */
export function apacheTime(): (wallMs: number) => string {
  let second = Number.NaN
  let text = ''
  return (wallMs) => {
    const current = Math.floor(wallMs / 1000)
    if (current !== second) {
      const date = new Date(current * 1000)
      const day = String(date.getUTCDate()).padStart(2, '0')
      const clock = date.toISOString().slice(11, 19)
      text = `${day}/${MONTHS[date.getUTCMonth()]}/${date.getUTCFullYear()}:${clock} +0000`
      second = current
    }
    return text
  }
}
