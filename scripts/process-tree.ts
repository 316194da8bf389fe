// Processes and what descends from them, as Linux shows them in /proc. Elsewhere nothing is found.
import { existsSync, readdirSync, readFileSync } from 'node:fs'

/** The fields of /proc/<pid>/stat (proc(5)) from the third on, the state; null if it has ended. */
export function statOf(pid: number): string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return null
  }
}

/** The command line of a process; empty if it has ended. */
export function commandOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1)
  } catch {
    return []
  }
}

/** The processes that a process has started and that have not ended. */
export function childrenOf(pid: number): number[] {
  return parents().flatMap(([child, parent]) => (parent === pid ? [child] : []))
}

/** A process and all that descend from it, ancestors first. */
export function familyOf(pid: number): number[] {
  const all = parents()
  const members = [pid]
  for (const member of members) {
    for (const [child, parent] of all) if (parent === member) members.push(child)
  }
  return members
}

function parents(): [child: number, parent: number][] {
  if (!existsSync('/proc/self/stat')) return []
  return readdirSync('/proc').flatMap((name): [number, number][] => {
    const stat = /^\d+$/.test(name) ? statOf(Number(name)) : null
    return stat === null ? [] : [[Number(name), Number(stat[1])]]
  })
}

/** Whether a process of this number exists. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
