/** One edit of a header, applied in order. Names are case-insensitive. */
export interface HeaderEdit {
  readonly op: 'set' | 'append' | 'remove'
  readonly name: string
  /** The value for `set` and `append`. */
  readonly value?: string
}

/** One edit of a query parameter. An edit touches only its own parameter; the rest of the query stays byte for byte. */
export interface QueryEdit {
  readonly op: 'set' | 'append' | 'remove'
  readonly name: string
  readonly value?: string
}

/**
 * What earlier stages want changed in the upstream request and in the client's answer. The proxy applies it when it
 * builds them. All fields start undefined, so that an exchange without edits costs nothing.
 */
export class OutgoingEdits {
  /** Replaces the path (no query), already encoded, starting with `/`; before the target's base path is put in front. */
  path: string | undefined = undefined
  query: QueryEdit[] | undefined = undefined
  requestHeaders: HeaderEdit[] | undefined = undefined
  responseHeaders: HeaderEdit[] | undefined = undefined
  /**
   * Lower-case names that the gateway itself sets (identity, signatures). Whatever a client sent under such a name, in
   * any case and with `_` for `-`, is gone before the gateway's own value is set.
   */
  reserved: Set<string> | undefined = undefined

  /** Adds an edit of the upstream request's headers. */
  editRequestHeader(edit: HeaderEdit): void {
    if (this.requestHeaders === undefined) this.requestHeaders = [edit]
    else this.requestHeaders.push(edit)
  }

  /** Adds an edit of the client's answer. */
  editResponseHeader(edit: HeaderEdit): void {
    if (this.responseHeaders === undefined) this.responseHeaders = [edit]
    else this.responseHeaders.push(edit)
  }

  /** Adds an edit of the upstream request's query. */
  editQuery(edit: QueryEdit): void {
    if (this.query === undefined) this.query = [edit]
    else this.query.push(edit)
  }

  /** Sets a header that no client can forge: see {@link reserved}. */
  setReserved(name: string, value: string | undefined): void {
    const lower = name.toLowerCase()
    if (this.reserved === undefined) this.reserved = new Set([lower])
    else this.reserved.add(lower)
    if (value !== undefined) this.editRequestHeader({ op: 'set', name: lower, value })
  }
}
